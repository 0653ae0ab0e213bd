import type { ComponentChildren } from "preact";
import type { Loaded } from "../../lib/hooks";
import { Card, Failure } from "../../parts/basics";

/** A card with its own data. If reading is refused or fails, the card says so, and the other cards work. */
export function Part<T>({
  title,
  about,
  loaded,
  beside,
  children,
}: {
  title: string;
  /** What the card shows, in a sentence. */
  about: string;
  loaded: Loaded<T>;
  beside?: ComponentChildren;
  children: (data: T) => ComponentChildren;
}) {
  const { data, error, reload } = loaded;
  const refused = error?.status === 403;
  return (
    <Card title={title} padded={false} beside={beside}>
      <p class="text-secondary small part-note">{about}</p>
      {refused ? (
        <p class="part-word">You may not see this: {error.message}</p>
      ) : (
        <>
          {error && (
            <div class="part-word">
              <Failure error={error} retry={reload} />
            </div>
          )}
          {data !== null ? children(data) : !error && <p class="part-word">Reading…</p>}
        </>
      )}
    </Card>
  );
}

/** A table that scrolls sideways if it is too wide, also by keyboard. */
export function Table({ label, heads, children }: { label: string; heads: Head[]; children: ComponentChildren }) {
  return (
    <section class="table-responsive" aria-label={label} tabIndex={0}>
      <table class="table table-vcenter card-table tabular system-table">
        <thead>
          <tr>
            {heads.map(([text, numeric]) => (
              <th key={text} class={numeric ? "text-end" : ""}>
                {text}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

type Head = [text: string, numeric?: boolean];

/** Says in a card why it is empty. */
export function Nothing({ children }: { children: ComponentChildren }) {
  return <p class="part-word">{children}</p>;
}
