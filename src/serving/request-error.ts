import { UserError } from '../errors/index.ts';

/** A request that is not answered as it is: its status, and what OpenAI's clients make an error of. */
export class RequestError extends Error {
  readonly status: 400 | 401 | 403 | 404 | 405 | 413 | 415 | 429;
  readonly code: string | null;
  /** The field of the body that is to blame. */
  readonly param: string | null;

  constructor(
    status: RequestError['status'],
    message: string,
    { code = null, param = null }: { code?: string | null; param?: string | null } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

/** Too many others wait. */
export const busy = (): RequestError =>
  new RequestError(429, 'too many requests wait for the model; try again in a second', { code: 'rate_limit_exceeded' });

/** The client has left. */
export const gone = (): RequestError => new RequestError(400, 'nobody waits for the answer any more');

/** An error as OpenAI's clients know it, and its status. */
export function errorOf(error: unknown) {
  const { message } = error as Error;
  if (error instanceof RequestError) {
    const { status, code, param } = error;
    const type = status === 429 ? 'requests' : 'invalid_request_error';
    return { status, body: { error: { message, type, code, param } } };
  }
  const isMistake = error instanceof UserError;
  const type = isMistake ? 'invalid_request_error' : 'server_error';
  return {
    status: isMistake ? (400 as const) : (500 as const),
    body: { error: { message, type, code: null, param: null } },
  };
}
