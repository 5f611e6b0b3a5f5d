// How a report looks. No colour is the only sign of anything.

export const REPORT_STYLE = `
:root { color-scheme: light dark; --page: #fff; --ink: #1c2024; --faint: #60646c; --line: #d9dce1; --soft: #f3f4f6;
  --link: #0b62c4; --critical: #b3005e; }
@media (prefers-color-scheme: dark) { :root { --page: #15171a; --ink: #e8eaed; --faint: #a3a8b0; --line: #383d44;
  --soft: #20242a; --link: #7db8ff; --critical: #ff6fb5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.15rem; }
h3 { margin: 1rem 0 .3rem; font-size: 1rem; overflow-wrap: anywhere; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.when, .note { color: var(--faint); margin: .3rem 0; }
.verdict { font-size: 1.1rem; font-weight: 600; margin: .8rem 0; }
dl { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; }
dl div { background: var(--soft); border-radius: 6px; padding: .5rem .9rem; min-width: 7rem; }
dt { color: var(--faint); font-size: .85rem; }
dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; margin: 1rem 0; list-style: none; }
.scroll { overflow: auto; max-height: 40rem; border: 1px solid var(--line); border-radius: 6px; padding: .8rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding-bottom: .4rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { white-space: nowrap; }
thead th { color: var(--faint); font-weight: 500; }
tbody th { font-weight: 500; overflow-wrap: anywhere; min-width: 12rem; }
tbody tr:target { background: var(--soft); }
.number { text-align: right; white-space: nowrap; }
@media (max-width: 40rem) { body { padding: 1rem .7rem; } tbody th { min-width: 6rem; } th, td { padding-right: .4rem; } }
.state { display: inline-block; padding: 0 .5rem; border-radius: 4px; font-size: .8rem; line-height: 1.5;
  border: 1px solid var(--line); white-space: nowrap; }
.critical { color: var(--critical); }
pre { margin: 0; padding: .8rem; background: var(--soft); border-radius: 6px; overflow: auto; max-height: 30rem;
  font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
svg { display: block; }
.graph-picture { max-width: 100%; height: auto; }
summary { cursor: pointer; margin: 1rem 0 .3rem; }
.gantt { min-width: 40rem; max-width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: var(--ink); }
.axis line { stroke: var(--line); }
.axis text { fill: var(--faint); }
.bar rect { fill: #b9c0c9; stroke: #0006; stroke-width: .5; }
.bar text { fill: #111; }
.bar.DONE rect, .state.DONE { fill: #7fd18f; background: #7fd18f; color: #111; }
.bar.RUNNING rect, .state.RUNNING { fill: #ffe066; background: #ffe066; color: #111; }
.bar.FAILED rect, .state.FAILED { fill: #ff8a80; background: #ff8a80; color: #111; }
.bar.CANCELLED rect, .state.CANCELLED { fill: #c3c6cb; background: #c3c6cb; color: #111; }
.bar.ABORT rect, .state.ABORT { fill: #8f1d14; background: #8f1d14; color: #fff; }
.bar.ABORT text { fill: #fff; }
.bar.highlight rect { stroke: var(--critical); stroke-width: 2.5; }
.graph > polygon { fill: none; }
.graph .edge path, .graph .edge polygon { stroke: var(--faint); }
.graph .edge polygon { fill: var(--faint); }
.graph .node ellipse { fill: var(--soft); stroke: var(--faint); }
.graph .node text { fill: var(--ink); }
.graph .DONE ellipse { fill: #7fd18f; }
.graph .RUNNING ellipse { fill: #ffe066; }
.graph .FAILED ellipse { fill: #ff8a80; }
.graph .CANCELLED ellipse { fill: #c3c6cb; }
.graph .ABORT ellipse { fill: #8f1d14; }
.graph .DONE text, .graph .RUNNING text, .graph .FAILED text, .graph .CANCELLED text { fill: #111; }
.graph .ABORT text { fill: #fff; }
.graph .highlight ellipse, .graph .edge.highlight path, .graph .edge.highlight polygon { stroke: var(--critical); }
.graph .edge.highlight polygon { fill: var(--critical); }
@media print { .scroll, pre { max-height: none; overflow: visible; } }
`;
