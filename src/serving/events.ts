import { errorOf } from './request-error.ts';

/** When a stream ends before its answer does. */
interface EventOptions {
  /** A client that takes nothing for so long is cut, so that others have its place. */
  stallMs: number;
  cut: () => void;
  /** Called with errors that are the server's own fault. */
  report: (error: unknown) => void;
}

/**
 * An answer as server-sent events, each made when the one before it was taken. What it throws before its first event is thrown here, so
 * that an error is reported by the status.
 */
export async function eventStream(
  answer: AsyncGenerator<object>,
  { stallMs, cut, report }: EventOptions,
): Promise<ReadableStream<Uint8Array>> {
  let ahead: IteratorResult<object> | undefined = await answer.next();
  let stalled: NodeJS.Timeout | undefined;
  let isCancelled = false;
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      clearTimeout(stalled);
      const send = (data: string) => controller.enqueue(encoder.encode(`data: ${data}\n\n`));
      try {
        const { done, value } = ahead ?? (await answer.next());
        ahead = undefined;
        if (isCancelled) return;
        send(done ? '[DONE]' : JSON.stringify(value));
        if (done) controller.close();
        else stalled = setTimeout(cut, stallMs);
      } catch (error) {
        if (isCancelled) return;
        const { status, body } = errorOf(error);
        if (status === 500) report(error);
        send(JSON.stringify(body));
        controller.close();
      }
    },
    async cancel() {
      isCancelled = true;
      clearTimeout(stalled);
      await answer.return(undefined);
    },
  });
}
