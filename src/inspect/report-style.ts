/** The style of the report's page: system fonts, few colours, light and dark. Blue is the conversion and what goes together, orange what is lost and what excludes each other. */

/** CSS. */
export const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6470; --line: #d9dde2; --ground: #fff; --blue: #1f5fa8; --orange: #c2571a; --faint: #f3f5f7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #98a2ad; --line: #343b43; --ground: #15181c; --blue: #6cabf0; --orange: #ee9255; --faint: #1d2227; } }
@media print { :root { --ground: #fff; } section, figure { break-inside: avoid; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 12px; letter-spacing: -0.01em; }
h2 { font-size: 17px; margin: 40px 0 12px; padding-top: 12px; border-top: 1px solid var(--line); }
p { margin: 0 0 12px; max-width: 72ch; }
dl { display: flex; flex-wrap: wrap; gap: 6px 28px; margin: 16px 0 0; }
dt { font-size: 12px; color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 4px 18px 4px 0; text-align: right; white-space: nowrap; }
th { font-weight: 500; color: var(--soft); border-bottom: 1px solid var(--ink); }
th:first-child, td:first-child { text-align: left; }
td { border-bottom: 1px solid var(--line); }
tr.asked td { font-weight: 600; color: var(--blue); }
.note, figcaption, footer { font-size: 13px; color: var(--soft); }
.note { margin-top: 8px; }
figure { margin: 0; }
figcaption { margin-top: 6px; max-width: 76ch; }
figure > svg { display: block; max-width: 100%; height: auto; }
footer { margin-top: 48px; }
.cards { display: flex; flex-wrap: wrap; gap: 20px 18px; }
.card figcaption { margin: 0 0 4px; font-size: 11px; line-height: 1.3; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.card figcaption b { color: var(--ink); }
.card > svg + svg { margin-top: 5px; }
span.keyed { white-space: nowrap; margin-right: 14px; }
.key { display: inline-block; width: 10px; height: 10px; margin-right: 3px; }
.key.error, .key.against { background: var(--orange); }
.key.error { opacity: 0.45; }
.key.caught, .key.with { background: var(--blue); }
.key.best { background: none; height: 0; width: 14px; border-top: 2px dashed var(--soft); vertical-align: middle; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg text.tick { font-size: 11px; fill: var(--soft); }
svg text.name { fill: var(--soft); }
svg text.ideal { font-weight: 600; fill: var(--blue); }
.grid { stroke: var(--line); stroke-width: 1; }
.reach { stroke: var(--blue); stroke-width: 1.5; stroke-dasharray: 2 3; }
.lead { stroke: var(--soft); stroke-width: 0.75; }
circle.dense { fill: var(--ink); }
circle.asked { fill: var(--blue); }
circle.ideal { fill: var(--ground); stroke: var(--blue); stroke-width: 2; }
rect.control { fill: var(--ground); stroke: var(--soft); stroke-width: 1.5; }
rect.error { fill: var(--orange); fill-opacity: 0.45; }
polyline { fill: none; stroke-width: 2; }
polyline.caught { stroke: var(--blue); }
polyline.best { stroke: var(--soft); stroke-dasharray: 4 3; stroke-width: 1.5; }
line.best { stroke: var(--soft); stroke-width: 2; }
circle.caught { fill: var(--blue); }
path.load { fill: var(--blue); fill-opacity: 0.75; }
line.even { stroke: var(--orange); stroke-width: 1; stroke-dasharray: 3 2; }
rect.ground { fill: var(--faint); }
path.with { fill: var(--blue); }
path.against { fill: var(--orange); }
path.self { fill: var(--line); }
`;
