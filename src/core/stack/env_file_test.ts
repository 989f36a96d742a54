import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { parseDotEnv, parseEnvFile } from "./env_file.ts";
import { substitute } from "./interpolate.ts";
import { numberText, scalarValue } from "./yaml_scalar.ts";

const here = (variables: Record<string, string>) => (name: string) => variables[name];
const dotEnv = (text: string, variables: Record<string, string> = {}) =>
  Object.fromEntries(parseDotEnv(".env", text, here(variables)));

Deno.test("a service's env_file is taken as it stands", () => {
  const text = '\uFEFFA=1\r\n# no\n\nB="quoted" # kept\nHERE\nNOWHERE\nC=a=b\n';
  deepStrictEqual([...parseEnvFile("a.env", text, here({ HERE: "h" }))], [
    ["A", "1"],
    ["B", '"quoted" # kept'],
    ["HERE", "h"],
    ["C", "a=b"],
  ]);
  throws(
    () => parseEnvFile("a.env", "A=1\n=x", here({})),
    /^FleetError: a\.env:2: "" is no variable/,
  );
  throws(() => parseEnvFile("a.env", "A B=1", here({})), /a\.env:1: "A B" is no variable name/);
});

Deno.test("a .env file knows quotes, comments, export and earlier lines", () => {
  const text = [
    "A=plain # comment",
    "export B=two",
    "C='single $A # kept'",
    'D="a\\tb\\"c ${A} \\$A"',
    "E=${B}-${OUTER}",
    "F: yaml",
    "G=",
    'H="two',
    'lines"',
    "BARE",
    "I=a#b",
  ].join("\n");
  deepStrictEqual(dotEnv(text, { OUTER: "o", BARE: "bare" }), {
    A: "plain",
    B: "two",
    C: "single $A # kept",
    D: 'a\tb"c plain $A',
    E: "two-o",
    F: "yaml",
    G: "",
    H: "two\nlines",
    BARE: "bare",
    I: "a#b",
  });
});

Deno.test("what is wrong in a .env file is told with its line", () => {
  for (
    const [text, pattern] of [
      ['A=1\nB="open', /\.env:2: the value of B has an open quote/],
      ['A="x" y', /\.env:1: unexpected text after the value of A/],
      ["A=1\n\nnot a pair", /\.env:3: "not a pair" is no NAME=value/],
      ["A=${B:?say B}", /\.env:1: required variable B is missing a value: say B/],
      ["A=${", /\.env:1: .*no valid template/],
    ] as const
  ) throws(() => dotEnv(text), pattern, text);
});

Deno.test("whatever a file holds, it is read or refused in one sentence", () => {
  fc.assert(fc.property(fc.string({ maxLength: 60, unit: "grapheme" }), (text) => {
    for (
      const read of [
        () => dotEnv(text),
        () => parseEnvFile("a", text, here({})),
        () => substitute(text, here({})),
      ]
    ) {
      try {
        read();
      } catch (error) {
        strictEqual((error as Error).name, "FleetError", String(error));
      }
    }
  }));
});

Deno.test("a text without dollar signs is itself, and doubled ones are single", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    strictEqual(substitute(text.replaceAll("$", "$$$$"), here({})), text);
  }));
});

Deno.test("plain scalars mean what Docker's parser takes them for", () => {
  for (
    const [text, value] of [
      ["0440", 288],
      ["0o440", 288],
      ["0x1F", 31],
      ["1_000", 1000],
      ["-5", -5],
      ["1.50", 1.5],
      [".5", 0.5],
      ["1e3", 1000],
      ["08", 8],
      ["yes", "yes"],
      ["on", "on"],
      ["True", true],
      ["FALSE", false],
      ["~", null],
      ["null", null],
      ["nUll", "nUll"],
      ["1.2.3", "1.2.3"],
      ["12:30", "12:30"],
      ["-", "-"],
      ["9223372036854775807", 9223372036854775807n],
    ] as const
  ) strictEqual(scalarValue(text), value, text);
  strictEqual(numberText(0.00001), "1e-05");
  strictEqual(numberText(9223372036854775807n), "9223372036854775807");
});
