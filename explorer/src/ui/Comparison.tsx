// The places chosen side by side: a column each, a row for every measure.
import { useMemo } from "preact/hooks";
import { Card } from "../charts/Chart";
import type { Word } from "../i18n";
import { filled, numberOf, rowsOf } from "../model";
import { rowTable } from "./tables";
import { fileName, flags, type View } from "./view";

export function Comparison({ view, subtitle }: { view: View; subtitle: string }) {
  const { world, state, say, write, series, period, colours } = view;
  const rows = useMemo(() => {
    const entities = state.sel.map((key) => world.byKey.get(key)!).filter((entity) => series?.at.has(entity));
    return series ? rowsOf(entities, series, world, state, period) : [];
  }, [series, state.sel.join(), state.period, state.lang]);
  if (!series || rows.length < 2) return null;
  const shown = filled(series, rows);
  const decimals = (measure: string) => (measure === "share" || measure === "contribution_pp" ? { decimals: 2 } : {});
  return (
    <Card
      id="comparison"
      title={say("comparison")}
      subtitle={subtitle}
      say={say}
      file={fileName(view, "comparison")}
      drawing={null}
      colours={colours}
      height={0}
      of=""
      credit=""
      table={() =>
        rowTable(
          view,
          rows,
          shown.map(([measure]) => measure),
        )
      }
    >
      <div class="sides" role="group" aria-label={say("comparison")} tabIndex={0}>
        <table>
          <thead>
            <tr>
              <td />
              {rows.map((row) => (
                <th key={row.key} scope="col" class="number">
                  <span class="swatch" style={{ background: colours.categorical[state.sel.indexOf(row.key)] }} />
                  {row.name}
                  {flags(row.status, say).length > 0 && (
                    <span class="unseen"> {flags(row.status, say).join(", ")}</span>
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map(([measure, form]) => (
              <tr key={measure}>
                <th scope="row">{say(measure as Word)}</th>
                {rows.map((row) => (
                  <td key={row.key} class="number">
                    {write(numberOf(row, measure), form, { signed: /growth|cagr/.test(measure), ...decimals(measure) })}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
