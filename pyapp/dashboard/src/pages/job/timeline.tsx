import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count } from "../../lib/format";
import { navigate, usePlace } from "../../lib/router";
import type { Job } from "../../lib/types";
import { Empty, Failure } from "../../parts/basics";
import { EventItem } from "./event_item";
import { useStory } from "./use_story";
import { Said } from "./values";
import type { Subscribe } from "./watch_job";
import { KINDS } from "./words";

const PAGE = 50;

/** The kinds that the address asks for; none means all. */
export function useKinds(): string[] {
  return usePlace().parameters.getAll("event");
}

/** The timeline of a job: its events, newest first, and new ones as they come. */
export function Timeline({
  job,
  subscribe,
  at,
  onChoose,
}: {
  job: Job;
  subscribe: Subscribe;
  at: number | null;
  onChoose: (seq: number) => void;
}) {
  const kinds = useKinds();
  const [following, setFollowing] = useState(true);
  const list = useRef<HTMLDivElement>(null);
  const top = useRef<HTMLDivElement>(null);
  const bottom = useRef<HTMLDivElement>(null);
  const atTop = useRef(true);
  const follows = useRef(true);
  follows.current = following;
  // Nothing moves while the viewer reads further down or has unfolded something.
  const held = () => !follows.current || !atTop.current || list.current?.querySelector("details[open]") != null;
  const story = useStory(job, subscribe, { kinds, page: PAGE, held });
  useEffect(() => {
    // On a wide screen the list scrolls by itself, on a narrow one with the page.
    const scrolls = list.current && getComputedStyle(list.current).overflowY === "auto";
    const observer = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          if (entry.target === top.current) {
            // A viewer who has not scrolled to the timeline is not reading it.
            atTop.current = entry.boundingClientRect.top >= (entry.rootBounds?.top ?? 0);
          } else if (entry.isIntersecting && story.error === null) {
            void story.readOlder();
          }
        }
      },
      { root: scrolls ? list.current : null },
    );
    for (const sentinel of [top.current, bottom.current]) {
      if (sentinel) {
        observer.observe(sentinel);
      }
    }
    return () => observer.disconnect();
    // Observed again after each page, because a page too short to push the end out of sight triggers nothing.
  }, [story, story.older]);

  function release(): void {
    for (const unfolded of list.current?.querySelectorAll<HTMLDetailsElement>("details[open]") ?? []) {
      unfolded.open = false;
    }
    atTop.current = true;
    story.release();
    list.current?.scrollTo({ top: 0 });
    top.current?.scrollIntoView({ block: "nearest" });
  }

  function follow(): void {
    setFollowing(!following);
    if (!following) {
      release();
    }
  }

  const seen = useMemo(() => new Set<string>(), [job.id]);
  for (const event of story.shown) {
    seen.add(event.event);
  }
  const waiting = story.waitingCount;
  return (
    <section class="card mb-3 story" aria-labelledby="story-title">
      <div class="card-header">
        <h2 class="card-title" id="story-title">
          Timeline
        </h2>
        <div class="card-actions d-flex align-items-center gap-3">
          <span class="text-secondary tabular">
            {count(job.lastSeq)} {job.lastSeq === 1 ? "event" : "events"}
          </span>
          <button
            type="button"
            class="btn btn-sm"
            title={following ? "Let new events wait" : "Show new events as they come"}
            onClick={follow}
          >
            {following ? "Hold" : "Follow"}
          </button>
        </div>
      </div>
      <KindChips kinds={kinds} own={[...seen].filter((kind) => !(kind in KINDS))} />
      <div class="story-list" ref={list}>
        <News waiting={waiting} one="event" onClick={release} />
        <div ref={top} class="story-edge" />
        {story.error && !story.begun && <Failure error={story.error} retry={() => void story.begin()} />}
        {story.begun && story.shown.length === 0 && <NoEvents filtered={kinds.length > 0} />}
        <ol class="events" tabIndex={0} aria-label="Events, newest first">
          {story.shown.map((event) => (
            <EventItem key={event.seq} event={event} chosen={event.seq === at} onChoose={onChoose} />
          ))}
        </ol>
        {!story.begun && !story.error && <p class="p-3 text-secondary">Reading the events…</p>}
        {story.begun && story.error && <Failure error={story.error} retry={() => void story.readOlder()} />}
        <div ref={bottom} class="story-edge" />
        {story.older !== null && (
          <div class="p-3 text-center">
            <button type="button" class="btn btn-sm" disabled={story.loadingOlder} onClick={() => story.readOlder()}>
              {story.loadingOlder ? "Reading…" : "Older events"}
            </button>
          </div>
        )}
        {story.begun && story.older === null && story.shown.length > 0 && (
          <p class="p-3 mb-0 text-center text-secondary small">
            {story.prunedSeq > 0
              ? `Events up to ${count(story.prunedSeq)} were pruned; the job still has what they add up to.`
              : "This is the first event."}
          </p>
        )}
      </div>
    </section>
  );
}

/** Says how many new ones wait, and shows them; null means many. */
export function News({ waiting, one, onClick }: { waiting: number | null; one: string; onClick: () => void }) {
  return waiting === 0 ? null : (
    <div class="story-news" role="status">
      <button type="button" class="btn btn-sm btn-primary" onClick={onClick}>
        {waiting === null ? "Many" : count(waiting)} new {waiting === 1 ? one : `${one}s`}
      </button>
    </div>
  );
}

function NoEvents({ filtered }: { filtered: boolean }) {
  return filtered ? (
    <Empty title="No events of this kind">Choose another kind above, or show all.</Empty>
  ) : (
    <Empty title="Nothing reported yet">
      The job is registered. Its events appear here as soon as its crawler reports <code>started</code>.
    </Empty>
  );
}

function KindChips({ kinds, own }: { kinds: string[]; own: string[] }) {
  const chosen = new Set(kinds);
  const names = [...new Set([...Object.keys(KINDS), ...own, ...kinds])];
  return (
    <fieldset class="chips">
      <legend class="visually-hidden">Kinds of events</legend>
      <Chip on={kinds.length === 0} onClick={() => choose([])}>
        All
      </Chip>
      {names.map((name) => (
        <Chip
          key={name}
          on={chosen.has(name)}
          title={name}
          onClick={() => choose(chosen.has(name) ? kinds.filter((kind) => kind !== name) : [...kinds, name])}
        >
          {KINDS[name] ?? <Said>{name}</Said>}
        </Chip>
      ))}
    </fieldset>
  );
}

function choose(kinds: string[]): void {
  const parameters = new URLSearchParams(location.search);
  parameters.delete("event");
  for (const kind of kinds) {
    parameters.append("event", kind);
  }
  navigate(`${location.pathname}?${parameters}`, true);
}

function Chip(props: { on: boolean; title?: string; onClick: () => void; children: preact.ComponentChildren }) {
  return (
    <button
      type="button"
      class={`chip ${props.on ? "chip-on" : ""}`}
      aria-pressed={props.on}
      title={props.title}
      onClick={props.onClick}
    >
      {props.children}
    </button>
  );
}
