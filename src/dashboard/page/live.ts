import { useEffect, useState } from 'preact/hooks';
import type { RunItem, ServerEvent, ShownRun } from '../api.ts';

/** Everything that the server has sent so far. */
export interface Live {
  /** Undefined until the list arrives. */
  items: readonly RunItem[] | undefined;
  views: ReadonlyMap<string, ShownRun>;
  /** Runs that cannot be shown, and why. */
  failures: ReadonlyMap<string, string>;
  /** Why the connection fails; undefined if it works. */
  trouble: string | undefined;
}

/** The list of runs and the watched runs, kept up to date by the server's events. */
export function useLive(names: readonly string[]): Live {
  const [live, setLive] = useState<Live>({
    items: undefined,
    views: new Map(),
    failures: new Map(),
    trouble: undefined,
  });
  const query = new URLSearchParams(names.map((name) => ['run', name])).toString();
  useEffect(() => {
    const source = new EventSource(`api/events?${query}`);
    source.onopen = () => setLive((before) => ({ ...before, trouble: undefined }));
    source.onerror = async () => {
      const trouble = await whyNot();
      if (source.readyState !== source.OPEN) setLive((before) => ({ ...before, trouble }));
    };
    source.onmessage = ({ data }) => {
      const event = JSON.parse(data) as ServerEvent;
      setLive((before) => heard(before, event));
    };
    return () => source.close();
  }, [query]);
  return live;
}

function heard(before: Live, event: ServerEvent): Live {
  if ('runs' in event) return { ...before, items: event.runs };
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
