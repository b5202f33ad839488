/** The page's only style sheet; it is inline, and the page's policy allows it by its hash. */
export const style = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--dim:#5f6770;--line:#dfe3e8;--soft:#f5f7f9;--link:#0b62c4;--get:#0a7a4a;--post:#0b62c4;--put:#9a5b00;--delete:#b42318}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e9ec;--dim:#9aa4ae;--line:#2c3238;--soft:#1c2126;--link:#6cb0ff;--get:#4cc38a;--post:#6cb0ff;--put:#f0b35c;--delete:#ff8a80}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
a{color:var(--link);text-decoration:none}a:hover,a:focus{text-decoration:underline}
code,pre{font:13px/1.5 ui-monospace,SFMono-Regular,Consolas,"DejaVu Sans Mono",monospace}
code{background:var(--soft);border-radius:4px;padding:.1em .3em}
pre{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:.8rem 1rem;overflow-x:auto;margin:.5rem 0}
pre code{background:none;padding:0}
.page{display:grid;grid-template-columns:17rem minmax(0,1fr);max-width:78rem;margin:0 auto}
nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow-y:auto;padding:1.5rem 1rem;border-right:1px solid var(--line);font-size:14px}
nav h2{font-size:12px;letter-spacing:.05em;text-transform:uppercase;color:var(--dim);margin:1.2rem 0 .3rem}
nav ul{list-style:none;margin:0;padding:0}nav li{padding:.15rem 0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
main{padding:1.5rem 2rem 6rem;min-width:0}
h1{margin:.2rem 0 1rem;font-size:1.9rem}main h2{margin:3rem 0 .5rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
main h3{margin:2.4rem 0 .4rem;font-size:1.15rem}main h4{margin:1.2rem 0 .3rem;font-size:.8rem;letter-spacing:.04em;text-transform:uppercase;color:var(--dim)}
.method{font:600 12px ui-monospace,Consolas,monospace;display:inline-block;min-width:3.4em}
.get{color:var(--get)}.post{color:var(--post)}.put{color:var(--put)}.delete{color:var(--delete)}
.route{font-size:15px;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--dim)}td p{margin:0}td:first-child{white-space:nowrap}
.dim{color:var(--dim)}.must{color:var(--delete);font-size:12px}
details{margin:.4rem 0}summary{cursor:pointer;color:var(--link);font-size:14px}
.anchor{color:inherit}
@media(max-width:48rem){.page{display:block}nav{position:static;max-height:none;border-right:0;border-bottom:1px solid var(--line)}main{padding:1rem}}
`;
