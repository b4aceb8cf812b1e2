import { useEffect, useState } from 'preact/hooks';
import type { RunItem, ServerEvent, ShownRun } from '../api.ts';

/** What the server has sent so far. */
export interface Live {
  /** Undefined until the list is there. */
  items: readonly RunItem[] | undefined;
  views: ReadonlyMap<string, ShownRun>;
  isConnected: boolean;
}

/** The list of runs and those that are watched, kept up to date by the server's events. */
export function useLive(names: readonly string[]): Live {
  const [live, setLive] = useState<Live>({ items: undefined, views: new Map(), isConnected: true });
  const query = new URLSearchParams(names.map((name) => ['run', name])).toString();
  useEffect(() => {
    const source = new EventSource(`api/events?${query}`);
    source.onopen = () => setLive((before) => ({ ...before, isConnected: true }));
    source.onerror = () => setLive((before) => ({ ...before, isConnected: false }));
    source.onmessage = ({ data }) => {
      const event = JSON.parse(data) as ServerEvent;
      setLive((before) => {
        if ('runs' in event) return { ...before, items: event.runs };
        return { ...before, views: new Map(before.views).set(event.run.name, event.run) };
      });
    };
    return () => source.close();
  }, [query]);
  return live;
}
