import type { ComponentChildren } from "preact";
import { count, duration, plural } from "../../lib/format";
import type { Json, TimelineEvent } from "../../lib/types";
import { Time } from "../../parts/basics";
import { cut, isObject, listed, member, plainly, Said } from "./values";

type Words = ComponentChildren;

/** The kinds of events that the server gives, and their names for people. */
export const KINDS: Record<string, string> = {
  progress_update: "Progress",
  stage_change: "Stages",
  discovery_progress: "Discovery",
  areas_discovered: "Areas",
  credential_status_change: "Credentials",
  error: "Errors",
  completion: "Ends",
  command_requested: "Commands",
};

/** The colour of the dot before an event. */
export const KIND_COLOURS: Record<string, string> = {
  progress_update: "bg-blue",
  stage_change: "bg-purple",
  discovery_progress: "bg-cyan",
  areas_discovered: "bg-teal",
  credential_status_change: "bg-yellow",
  error: "bg-red",
  completion: "bg-green",
  command_requested: "bg-pink",
};

const COMMANDS: Record<string, string> = {
  pause: "pause",
  resume: "go on",
  cancel: "cancel the job",
};

/** How many types are named in the sentence of an update; its details have all types. */
const MOST_TYPES = 4;
const MOST_CHARACTERS = 240;

/** Says in a sentence what happened. */
export function Sentence({ event }: { event: TimelineEvent }) {
  const { details } = event;
  if (!isObject(details) || (!(event.event in KINDS) && !("status" in details))) {
    return <>{ownWords(event)}</>;
  }
  return <>{(TELLERS[event.event] ?? updateWords)(details)}</>;
}

type Details = Record<string, Json>;

const TELLERS: Record<string, (details: Details) => Words> = {
  error: (d) => {
    const name = said(d, "errorType");
    const text = said(d, "errorMessage") ?? said(d, "message");
    return [d.status === "failed" ? "Failed" : "Error", (name || text) && ": ", name, name && text && ": ", text];
  },
  completion: (d) => [
    d.status === "cancelled" ? "Cancelled" : "Finished",
    isObject(d.shortfall) && `, ${count(sumOf(d.shortfall))} short`,
    typeof d.duration === "number" && ` after ${duration(d.duration / 1000)}`,
    said(d, "summary") && [": ", said(d, "summary")],
  ],
  stage_change: (d) => [stageWords(d), after(" · ", counts(d))],
  discovery_progress: (d) => ["Discovery", after(": ", listed([counts(d), typeCounts(d)])), after(" · ", tail(d))],
  areas_discovered: (d) => {
    const fresh = (number(d, "newGroups") ?? 0) + (number(d, "newProjects") ?? 0);
    return [
      `Discovered ${plural(number(d, "totalDiscovered") ?? 0, "area")}`,
      after(
        ": ",
        listed([plural(number(d, "groupsCount") ?? 0, "group"), plural(number(d, "projectsCount") ?? 0, "project")]),
      ),
      "; ",
      fresh > 0 ? plural(fresh, "new group or project", "new groups and projects") : "no new group or project",
    ];
  },
  credential_status_change: (d) => {
    const state = d.credentialStatus;
    const whose = ["providerId", "instanceType"]
      .map((name) => member(state, name))
      .filter((part) => part !== undefined);
    const of = whose.length > 0 && [" of ", <Said key="whose">{whose.map(plainly).join(" at ")}</Said>];
    const text = member(state, "message");
    return [
      d.status === "credential_renewal"
        ? ["Waits for new credentials", of]
        : d.status === "credential_resumed"
          ? ["The new credentials", of, " work; the crawler goes on"]
          : ["The credentials", of, " expired or were refused"],
      text !== undefined && [": ", <Said key="text">{plainly(text)}</Said>],
    ];
  },
  command_requested: (d) => [
    "Asked the crawler to ",
    COMMANDS[String(d.command)] ?? said(d, "command"),
    said(d, "requestedBy") && [" (", said(d, "requestedBy"), ")"],
  ],
};

const BEGINNINGS: Record<string, string> = {
  started: "Started",
  paused: "Paused",
  waiting: "Waits",
};

function updateWords(d: Details): Words {
  const beginning = BEGINNINGS[String(d.status)];
  const what = listed([counts(d), typeCounts(d), ...bookCounts(d)]);
  const body = [what, after(what.length > 0 ? " · " : "", tail(d))];
  if (what.length === 0 && tail(d).length === 0) {
    return beginning ?? "At work, nothing new to count";
  }
  return beginning ? [beginning, ": ", body] : body;
}

function stageWords(d: Details): Words {
  const [from, to] = [said(d, "fromStage"), said(d, "toStage") ?? said(d, "stage")];
  if (to) {
    return from ? ["Moved from stage ", from, " to ", to] : ["Entered stage ", to];
  }
  return from ? ["Left stage ", from] : "Changed stage";
}

/** An event of the crawler's own, as it was sent. */
function ownWords({ event, details }: { event: string; details: Json }): Words {
  const parts = isObject(details)
    ? Object.entries(details)
        .slice(0, MOST_TYPES)
        .map(([name, value]) => <Said key={name}>{cut(`${name} ${plainly(value)}`, MOST_CHARACTERS)}</Said>)
    : details === null
      ? []
      : [<Said key="all">{cut(plainly(details), MOST_CHARACTERS)}</Said>];
  return [<Said key="event">{event}</Said>, after(": ", listed(parts))];
}

function counts(d: Details): Words {
  const [done, total] = [number(d, "processedItems"), number(d, "totalItems")];
  if (done === undefined) {
    return total === undefined ? null : `${count(total)} expected`;
  }
  return total === undefined ? `${count(done)} processed` : `${count(done)} of ${count(total)} processed`;
}

function typeCounts(d: Details): Words {
  // An update counts a type by a number or by keys of items, of which the new ones count.
  const types = [d.itemsByType, d.counted].flatMap((found) => (isObject(found) ? Object.entries(found) : []));
  if (types.length === 0) {
    return null;
  }
  types.sort(([, one], [, other]) => Number(other) - Number(one));
  const named = types
    .slice(0, MOST_TYPES)
    .map(([name, value]) => [<Said key={name}>{name}</Said>, " ", plainly(value)]);
  return listed([...named, types.length > MOST_TYPES && plural(types.length - MOST_TYPES, "more type")]);
}

/** What balances the books: what was found, failed or was skipped, and how many there are. */
function bookCounts(d: Details): Words[] {
  const parts: [Json | undefined, string, string][] = [
    [d.foundByType, "found", ""],
    [d.failedByType, "", "failed"],
    [d.skippedByType, "", "skipped"],
    [d.totalsByType, "", "in all"],
  ];
  return parts.flatMap(([found, before, behind]) => {
    const types = isObject(found) ? Object.entries(found) : [];
    const named = types
      .slice(0, MOST_TYPES)
      .map(([name, value]) => [
        before && `${before} `,
        plainly(value),
        " ",
        <Said key={name}>{name}</Said>,
        behind && ` ${behind}`,
      ]);
    return types.length > MOST_TYPES ? [...named, plural(types.length - MOST_TYPES, "more type")] : named;
  });
}

function sumOf(counts: Record<string, Json>): number {
  return Object.values(counts).reduce((sum: number, value) => sum + Number(value), 0);
}

function tail(d: Details): Words[] {
  const entered = "toStage" in d && d.toStage !== null;
  return listed([waitWords(d), entered ? stageWords(d) : null, said(d, "message")]);
}

/** Until when a job waits, and for what. */
function waitWords(d: Details): Words {
  if (d.status !== "waiting") {
    return null;
  }
  const until = typeof d.waitUntil === "string" && !Number.isNaN(Date.parse(d.waitUntil)) ? d.waitUntil : null;
  const parts = [
    until && ["until ", <Time key="until" at={until} as="clock" />],
    said(d, "reason") && ["for ", said(d, "reason")],
  ];
  return parts.some(Boolean) ? listed(parts) : null;
}

function after(separator: string, words: Words): Words {
  return words === null || (Array.isArray(words) && words.length === 0) ? null : [separator, words];
}

function said(d: Details, name: string) {
  const value = member(d, name);
  return value === undefined ? null : <Said key={name}>{cut(plainly(value), MOST_CHARACTERS)}</Said>;
}

function number(d: Details, name: string): number | undefined {
  const value = d[name];
  return typeof value === "number" ? value : undefined;
}
