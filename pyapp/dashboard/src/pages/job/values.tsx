import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { count } from "../../lib/format";
import type { Json } from "../../lib/types";

/** A text that a crawler sent. It may run from right to left without affecting the text around it. */
export function Said({ children }: { children: string }) {
  return <bdi class="said">{children}</bdi>;
}

export function isObject(value: unknown): value is Record<string, Json> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member of something that should be an object, if it is there and not empty. */
export function member(value: Json | undefined, name: string): Json | undefined {
  const found = isObject(value) ? value[name] : undefined;
  return found === null || found === "" ? undefined : found;
}

/** Any value in one line. */
export function plainly(value: Json): string {
  return typeof value === "string" ? value : typeof value === "number" ? count(value) : JSON.stringify(value);
}

/** Whether a value contains a whole number that is too large for scripts to hold exactly. */
function isRounded(value: Json): boolean {
  if (typeof value === "object" && value !== null) {
    return Object.values(value).some(isRounded);
  }
  return typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER;
}

/** Any value as a block, nested ones over several lines. */
export function Value({ value, label = "Value" }: { value: Json; label?: string }) {
  const shown = <Plain value={value} label={label} />;
  return isRounded(value) ? (
    <>
      {shown} <span class="text-secondary small">rounded; exact in the raw JSON</span>
    </>
  ) : (
    shown
  );
}

function Plain({ value, label }: { value: Json; label: string }) {
  if (typeof value !== "object" || value === null) {
    const text = plainly(value);
    return <bdi class={text.length > 30 ? "said said-long" : "said"}>{text}</bdi>;
  }
  return <Block label={label}>{JSON.stringify(value, null, 2)}</Block>;
}

/** Text as it is, which scrolls in both directions, also by keyboard. */
export function Block({ label, children }: { label: string; children: string }) {
  return (
    <pre class="block" tabIndex={0} role="group" aria-label={label} dir="ltr">
      {children}
    </pre>
  );
}

/** Names and values of an object's members. */
export function Members({ of, except = [] }: { of: Record<string, Json>; except?: string[] }) {
  const found = Object.entries(of).filter(([name]) => !except.includes(name));
  return (
    <dl class="members">
      {found.map(([name, value]) => (
        <div key={name}>
          <dt>
            <Said>{name}</Said>
          </dt>
          <dd>
            <Value value={value} label={name} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** A long text, cut until the viewer unfolds it. */
export function LongText({ children, most }: { children: string; most: number }) {
  const [whole, setWhole] = useState(false);
  const short = whole ? children : cut(children, most);
  return (
    <>
      <Said>{short}</Said>{" "}
      {short !== children && (
        <button type="button" class="btn btn-sm" onClick={() => setWhole(true)}>
          All of it
        </button>
      )}
    </>
  );
}

/** The beginning of a text. Surrogate pairs stay whole. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${[...text.slice(0, most * 2)].slice(0, most).join("")}…`;
}

/** Puts commas between parts, and leaves out empty ones. */
export function listed(parts: ComponentChildren[]): ComponentChildren[] {
  return parts
    .filter((part) => part !== null && part !== undefined && part !== false && part !== "")
    .flatMap((part, place) => (place ? [", ", part] : [part]));
}
