import { useEffect, useMemo, useReducer } from "preact/hooks";
import type { Job } from "../../lib/types";
import { Story, type Wanted } from "./story";
import type { Subscribe } from "./watch_job";

/** The timeline of a job while the component is mounted; another one when other kinds of events are chosen. */
export function useStory(job: Job, subscribe: Subscribe, wanted: Wanted): Story {
  const [, draw] = useReducer((turn: number) => turn + 1, 0);
  const story = useMemo(
    () => new Story(job, wanted, () => draw(undefined)),
    [job.id, wanted.kinds.join("\n"), subscribe],
  );
  useEffect(() => {
    const unsubscribe = subscribe((change) => story.hear(change));
    void story.begin();
    return () => {
      unsubscribe();
      story.end();
    };
  }, [story]);
  return story;
}
