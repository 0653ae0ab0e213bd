import { Component } from "preact";
import { useState } from "preact/hooks";
import { count, duration } from "../../lib/format";
import type { TimelineEvent } from "../../lib/types";
import { Block, isObject, Members, member, plainly, Said, Value } from "./values";
import { KIND_COLOURS, KINDS, Sentence } from "./words";

interface Given {
  event: TimelineEvent;
  /** Whether the page shows the state at this event. */
  chosen: boolean;
  onChoose: (seq: number) => void;
}

/** One event of the timeline. Events never change, and there are many, so each is drawn once. */
export class EventItem extends Component<Given> {
  override shouldComponentUpdate(next: Given): boolean {
    return next.event !== this.props.event || next.chosen !== this.props.chosen;
  }

  override render({ event, chosen, onChoose }: Given) {
    const worker = member(event.details, "workerId");
    return (
      <li
        class={`event ${chosen ? "event-chosen" : ""}`}
        data-seq={event.seq}
        data-kind={event.event}
        aria-current={chosen ? "step" : undefined}
      >
        <Unfolding
          summary={
            <>
              <span class={`event-dot ${KIND_COLOURS[event.event] ?? "bg-secondary"}`} aria-hidden="true" />
              <span class="event-words">
                <span class={event.event === "error" ? "event-error" : ""}>
                  <Sentence event={event} />
                </span>
                <span class="event-facts text-secondary tabular">
                  <Clock at={event.timestamp} />
                  {worker !== undefined && (
                    <span>
                      by <Said>{plainly(worker)}</Said>
                    </span>
                  )}
                  <span>#{count(event.seq)}</span>
                </span>
              </span>
            </>
          }
        >
          {() => <Details event={event} onChoose={onChoose} />}
        </Unfolding>
      </li>
    );
  }
}

/** Details that are folded away are not drawn at all. */
function Unfolding({ summary, children }: { summary: preact.ComponentChildren; children: () => preact.JSX.Element }) {
  const [open, setOpen] = useState(false);
  return (
    <details open={open} onToggle={(toggled) => setOpen(toggled.currentTarget.open)}>
      <summary>{summary}</summary>
      {open && children()}
    </details>
  );
}

function Details({ event, onChoose }: { event: TimelineEvent; onChoose: (seq: number) => void }) {
  const { details } = event;
  const stack = member(details, "stack");
  return (
    <div class="event-details">
      {typeof stack === "string" && <Block label="Stack">{stack}</Block>}
      {isObject(details) ? (
        <Members of={details} except={typeof stack === "string" ? ["stack"] : []} />
      ) : (
        <Value value={details} />
      )}
      <p class="text-secondary small mb-2">
        {KINDS[event.event] ? <code>{event.event}</code> : "The crawler's own event"} · happened{" "}
        <time dateTime={event.timestamp}>{event.timestamp}</time>
        {lateness(event)}
      </p>
      <button type="button" class="btn btn-sm" onClick={() => onChoose(event.seq)}>
        State at this point
      </button>
    </div>
  );
}

/** Shown if an event was recorded long after it happened, because the crawler or its network held it back. */
function lateness({ timestamp, recordedAt }: TimelineEvent): string {
  if (!recordedAt) {
    return "";
  }
  const seconds = (Date.parse(recordedAt) - Date.parse(timestamp)) / 1000;
  return seconds >= 1 ? `, recorded ${duration(seconds)} later` : `, recorded ${recordedAt}`;
}

const timeOfDay = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dayAndTime = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "medium",
});

/** A time in the viewer's zone; unlike `Time` it does not tick, because there are thousands. */
export function Clock({ at }: { at: string }) {
  const instant = new Date(at);
  const today = new Date().toDateString() === instant.toDateString();
  return (
    <time dateTime={at} title={`${at} (UTC)`} class="text-nowrap">
      {Number.isNaN(instant.getTime()) ? at : (today ? timeOfDay : dayAndTime).format(instant)}
    </time>
  );
}
