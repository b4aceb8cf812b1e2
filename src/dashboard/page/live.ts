import { useEffect, useState } from 'preact/hooks';
import type { RunList, ServerEvent, ShownRun } from '../api.ts';

/** Everything that the server has sent so far. */
interface Sent {
  /** Undefined until it arrives. */
  list: RunList | undefined;
  views: ReadonlyMap<string, ShownRun>;
  /** Runs that cannot be shown, and why. */
  failures: ReadonlyMap<string, string>;
  /** Why the connection fails; undefined if it works. */
  trouble: string | undefined;
}

/** What the server has sent, and the names of the shown runs. */
interface Live extends Sent {
  names: readonly string[];
}

/** The list of runs and the shown runs, kept up to date by the server's events; without a chosen run, the live or newest one is shown. */
export function useLive(chosen: readonly string[]): Live {
  const [sent, setSent] = useState<Sent>({
    list: undefined,
    views: new Map(),
    failures: new Map(),
    trouble: undefined,
  });
  const names = chosen.length > 0 ? chosen : newest(sent.list);
  const query = new URLSearchParams(names.map((name) => ['run', name])).toString();
  useEffect(() => {
    const source = new EventSource(`api/events?${query}`);
    source.onopen = () => setSent((before) => ({ ...before, trouble: undefined }));
    source.onerror = async () => {
      const trouble = await whyNot();
      if (source.readyState !== source.OPEN) setSent((before) => ({ ...before, trouble }));
    };
    source.onmessage = ({ data }) => {
      const event = JSON.parse(data) as ServerEvent;
      setSent((before) => received(before, event));
    };
    return () => source.close();
  }, [query]);
  return { ...sent, names };
}

/** The newest run that is being trained, otherwise the newest that can be shown, otherwise the newest fine-tuned model. */
function newest(list: RunList | undefined): string[] {
  const { runs = [], tunings = [] } = list ?? {};
  const first =
    runs.find(({ state }) => state === 'training') ??
    runs.find(({ state }) => state !== 'broken') ??
    runs[0] ??
    tunings[0];
  return first ? [first.name] : [];
}

function received(before: Sent, event: ServerEvent): Sent {
  if ('list' in event) return { ...before, list: event.list };
  const [views, failures] = [new Map(before.views), new Map(before.failures)];
  if ('run' in event) {
    views.set(event.run.name, event.run);
    failures.delete(event.run.name);
  } else {
    views.delete(event.failed.name);
    failures.set(event.failed.name, event.failed.error);
  }
  return { ...before, views, failures };
}

/** Asks the server why the connection failed, which an `EventSource` does not report. */
async function whyNot(): Promise<string> {
  try {
    const response = await fetch('api/runs');
    return response.ok ? 'connection lost; retrying' : await response.text();
  } catch {
    return 'the server does not answer: it has stopped, or the connection is lost; retrying';
  }
}
