import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react';
import { text } from '../text.ts';
import { Button, Notice, Spinner } from '../ui/controls.tsx';

/** Reads something when it is first shown; `status` is what is to be seen until it is there, or in its place. */
export function useLoaded<T>(read: () => Promise<T>): { data: T | null; status: ReactNode; reload: () => void } {
  const [state, setState] = useState<{ data: T | null; problem: string | null }>({ data: null, problem: null });
  const latest = useRef(read);
  latest.current = read;
  const reload = useCallback(() => {
    latest.current().then(
      (data) => setState({ data, problem: null }),
      (error: Error) => setState(({ data }) => ({ data, problem: error.message })),
    );
  }, []);
  useEffect(reload, [reload]);
  const { data, problem } = state;
  const status =
    problem !== null ? (
      <div role="alert" className="mb-3 space-y-2">
        <Notice tone="danger">{problem}</Notice>
        <Button onClick={reload}>{text.retry}</Button>
      </div>
    ) : data === null ? (
      <Spinner />
    ) : null;
  return { data, status, reload };
}
