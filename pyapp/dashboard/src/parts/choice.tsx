import { setParameters } from "../lib/router";

/** A choice of one of a few, which is kept in the address under `parameter`. */
export function Choice({
  label,
  parameter,
  options,
  chosen,
}: {
  label: string;
  parameter: string;
  options: { key: string; text: string }[];
  chosen: string;
}) {
  return (
    <fieldset class="btn-group" aria-label={label}>
      {options.map(({ key, text }) => (
        <button
          type="button"
          key={key}
          class={`btn btn-sm ${key === chosen ? "btn-primary" : ""}`}
          aria-pressed={key === chosen}
          onClick={() => setParameters({ [parameter]: key })}
        >
          {text}
        </button>
      ))}
    </fieldset>
  );
}
