import type { ComponentChildren } from 'preact';

/** A table whose first column names its rows; it scrolls sideways if it is too wide. */
export function Table(props: {
  head: readonly ComponentChildren[];
  rows: readonly (readonly ComponentChildren[])[];
  caption?: string;
}) {
  const { head, rows, caption } = props;
  return (
    <div class="table">
      <table>
        {caption && <caption>{caption}</caption>}
        <thead>
          <tr>
            {head.map((name, i) => (
              <th key={i} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {row.map((cell, j) =>
                j === 0 ? (
                  <th key={j} scope="row">
                    {cell}
                  </th>
                ) : (
                  <td key={j}>{cell}</td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
