/** A string, a bracket, a mark, or a number or word of JSON. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** Breaks JSON into lines without touching any value of it. */
export function pretty(json: string): string {
  const parts: string[] = [];
  let depth = 0;
  let before = "";
  for (const [token] of json.matchAll(TOKENS)) {
    const closes = token === "}" || token === "]";
    if (closes) {
      depth -= 1;
    }
    const opened = before === "{" || before === "[";
    // An empty object or list stays in one piece.
    if (before === "," || opened !== closes) {
      parts.push(newLine(depth));
    }
    parts.push(token === ":" ? ": " : token);
    if (token === "{" || token === "[") {
      depth += 1;
    }
    before = token;
  }
  return parts.join("");
}

function newLine(depth: number): string {
  return `\n${"  ".repeat(depth)}`;
}
