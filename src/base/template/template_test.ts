import assert from "node:assert/strict";
import { compileTemplate } from "./template.ts";
import { TemplateRow } from "./row.ts";

const DATA = {
  Name: "web",
  Empty: "",
  Count: 3,
  List: ["a", "b"],
  Labels: { z: "1", a: "2" },
  Deep: { Er: { Still: "yes" } },
  Off: false,
};

/** Each template with what Go's text/template prints for the same data. */
const CASES: readonly (readonly [template: string, text: string])[] = [
  ["plain", "plain"],
  ["{{.Name}}-{{.Count}}", "web-3"],
  ["{{ .Deep.Er.Still }}", "yes"],
  ["{{.Missing}} {{.Missing.Deeper}}", "<no value> <no value>"],
  ["{{.List}} {{.Labels}}", "[a b] map[a:2 z:1]"],
  ["{{json .List}}{{json .Missing}}", '["a","b"]null'],
  ['{{join .List ", "}}', "a, b"],
  ["{{range $i, $e := .List}}{{if $i}},{{end}}{{$e}}{{end}}", "a,b"],
  ["{{range .List}}<{{.}}>{{else}}none{{end}}", "<a><b>"],
  ["{{range .Missing}}x{{else}}none{{end}}", "none"],
  ["{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=2;z=1;"],
  ["{{range .List}}{{$.Name}}.{{.}} {{end}}", "web.a web.b "],
  ["{{if .Off}}a{{else if .Empty}}b{{else}}c{{end}}", "c"],
  ["{{with .Deep.Er}}{{.Still}}{{end}}{{with .Empty}}x{{else}}-{{end}}", "yes-"],
  ["{{if and .Name (eq .Count 3)}}both{{end}}", "both"],
  ["{{if or .Empty (not .Off)}}either{{end}}", "either"],
  [
    '{{eq .Name "db" "web"}} {{ne .Count 3}} {{lt .Count 4}} {{ge .Count 4}}',
    "true false true false",
  ],
  ['{{.Name | upper | printf "%-5s|"}}', "WEB  |"],
  ['{{printf "%s has %d (%q) %05d" .Name .Count .Name .Count}}', 'web has 3 ("web") 00003'],
  ["{{println .Name .Count}}", "web 3\n"],
  ['{{index .Labels "z"}}{{index .List 1}}', "1b"],
  ["{{len .List}}{{len .Name}}{{len .Labels}}", "232"],
  ["{{$x := .Name}}{{$x}}{{$x = .Count}}{{$x}}", "web3"],
  ["a {{- .Name -}} b", "awebb"],
  ["a{{/* a comment */}}b", "ab"],
  ['{{"}}"}}{{`raw "x"`}}', '}}raw "x"'],
  ['{{title "hello world"}} {{lower "ABC"}} {{truncate "abcdef" 3}}', "Hello World abc abc"],
  ['{{(index .List 0) | upper}} {{(split "a/b" "/")}}', "A [a b]"],
];

Deno.test("templates print what Go's print", () => {
  for (const [template, text] of CASES) {
    assert.equal(compileTemplate(template)(DATA), text, template);
  }
});

Deno.test("a bad template is one clear sentence", () => {
  for (
    const [template, message] of [
      ["{{.Name", /"\{\{" without "\}\}"/],
      ["{{if .A}}", /\{\{if\}\} without \{\{end\}\}/],
      ["{{range .A}}", /\{\{range\}\} without \{\{end\}\}/],
      ["{{end}}", /unexpected \{\{end\}\}/],
      ["{{frobnicate .A}}", /unknown function "frobnicate"; known are and, /],
      ["{{.Name.Deeper}}", /\.Deeper of "web"/],
      ["{{$nope}}", /undefined variable \$nope/],
      ["{{range .Count}}x{{end}}", /range needs a list or a map/],
      ["{{(.A}}", /without/],
      ["{{}}", /an empty command/],
    ] as const
  ) {
    assert.throws(() => compileTemplate(template)(DATA), { name: "FleetError", message }, template);
  }
});

Deno.test("a table's row names the fields that there are, and may have methods", () => {
  const row = new TemplateRow({ ID: "x", Label: (key: unknown) => `label ${key}` });
  assert.equal(compileTemplate('{{.Label "a"}}')(row), "label a");
  assert.equal(compileTemplate("{{json .}}")(row), '{"ID":"x"}');
  assert.throws(() => compileTemplate("{{.Name}}")(row), /no field \.Name; there are \.ID/);
});
