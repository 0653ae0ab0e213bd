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
      {({ tables }) => (
        <Table
          label="Sizes of the tables"
          heads={[["Table"], ["Rows", true], ["Dead rows", true], ["Data", true], ["Indexes", true]]}
        >
          {[...tables]
            .sort((a, b) => b.bytes + b.indexBytes - a.bytes - a.indexBytes)
            .map((table) => (
              <tr key={table.table}>
                <td>
                  <code>{table.table}</code>
                </td>
                <td class="text-end">{count(table.rows)}</td>
                <td class="text-end">{count(table.deadRows)}</td>
                <td class="text-end">{bytes(table.bytes)}</td>
                <td class="text-end">{bytes(table.indexBytes)}</td>
              </tr>
            ))}
        </Table>
      )}
    </Part>
  );
}
