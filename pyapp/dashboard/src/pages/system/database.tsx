import { API } from "../../lib/api";
import { bytes, count } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import type { DatabaseFigures } from "../../lib/types";
import { Time } from "../../parts/basics";
import { Part, Table } from "./part";

/** How large the tables are. */
export function Database() {
  const loaded = useLoaded<DatabaseFigures>(`${API}/database`, {}, 15);
  return (
    <Part
      title="Database"
      about="Tables with their indexes. Numbers of rows are estimates; the next vacuum removes dead rows."
      loaded={loaded}
      beside={
        loaded.data && (
          <span class="text-secondary me-2">
            PostgreSQL {loaded.data.version}
            {loaded.data.replica && ", a replica"}, {loaded.data.bytes !== null && `${bytes(loaded.data.bytes)}, `}
            started <Time at={loaded.data.startedAt} />
          </span>
        )
      }
    >
      {({ tables, nodes }) => (
        <>
          <Table
            label="Sizes of the tables"
            heads={[["Table"], ["Rows", true], ["Dead rows", true], ["Data", true], ["Indexes", true]]}
          >
            {[...tables]
              .sort((a, b) => size(b) - size(a))
              .map((table) => (
                <tr key={table.table}>
                  <td>
                    <code>{table.table}</code>
                  </td>
                  <td class="text-end">{known(table.rows, count)}</td>
                  <td class="text-end">{known(table.deadRows, count)}</td>
                  <td class="text-end">{known(table.bytes, bytes)}</td>
                  <td class="text-end">{known(table.indexBytes, bytes)}</td>
                </tr>
              ))}
          </Table>
          {nodes && <Nodes nodes={nodes} />}
        </>
      )}
    </Part>
  );
}

/** The servers that a distributed database is on. */
function Nodes({ nodes }: { nodes: NonNullable<DatabaseFigures["nodes"]> }) {
  return (
    <Table label="Nodes of the distributed database" heads={[["Node"], ["Answers"], ["Database", true]]}>
      {nodes.map((node) => (
        <tr key={node.node}>
          <td>
            <code>{node.node}</code>
          </td>
          <td>{node.answers ? "yes" : <strong class="text-danger">no</strong>}</td>
          <td class="text-end">{known(node.bytes, bytes)}</td>
        </tr>
      ))}
    </Table>
  );
}

function size(table: DatabaseFigures["tables"][number]): number {
  return (table.bytes ?? 0) + (table.indexBytes ?? 0);
}

/** A figure, or a dash while a node is away that would be needed for it. */
function known(value: number | null, written: (value: number) => string): string {
  return value === null ? "–" : written(value);
}
