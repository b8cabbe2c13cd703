import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Script from "../../src/simulator/Script.ts"

const good = (input: Script.ScriptInput): Script.Script => Result.getOrThrow(Script.fromJson(JSON.stringify(input)))
const problems = (input: unknown): ReadonlyArray<string> =>
  Result.match(Script.fromJson(JSON.stringify(input)), { onFailure: (all) => all, onSuccess: () => [] })
const words = (text: string) => ({ words: text.split(" ").map((word) => ({ word })) })

describe("Script of what is no text", () => {
  it.each([
    ["UTF-16 that was read as UTF-8", Buffer.from("\uFEFFHello\n", "utf16le").toString("utf8"), "has U+FFFD in line 1"],
    ["UTF-16 without a mark, read so", Buffer.from("Hello\n", "utf16le").toString("utf8"), "has U+0000 in line 1"],
    ["JSON in UTF-16, read so", Buffer.from(`{"turns": []}`, "utf16le").toString("utf8"), "has U+0000 in line 1"],
    ["Latin-1 that was read as UTF-8", Buffer.from("One\r\ncaf\u00e9\r\n", "latin1").toString("utf8"), "has U+FFFD in line 2"]
  ])("%s: is refused, and nothing of it is said", (_, text, says) => {
    assert.match(Result.match(Script.parse(text), { onFailure: (all) => all.join(), onSuccess: () => "" }), new RegExp(`^${says.replace("+", "\\+")}: `))
  })

  it("JSON may have such characters by their codes", () => {
    const made = Script.parse(`{"turns": ["a\\ufffd"]}`)
    assert.deepStrictEqual(made, Result.succeed({ turns: [words("a\uFFFD")], faults: [] }))
  })
})

describe("Script as plain text", () => {
  it("takes a line a turn and words by white space", () => {
    const expected = { turns: [words("Hello, how are you?"), words("Fine.")], faults: [] }
    const text = "Hello,  how\tare you?\n\n   \r\n Fine. \n"
    assert.deepStrictEqual(Script.fromText(text), expected)
    assert.deepStrictEqual(Script.parse(text), Result.succeed(expected))
  })

  it("says nothing without text", () => {
    assert.deepStrictEqual(Script.fromText(" \n\n"), { turns: [], faults: [] })
    assert.deepStrictEqual(Script.placeholders, { turns: [], faults: [] })
  })
})

describe("Script as JSON", () => {
  it("is what begins with a brace, behind white space and a byte order mark", () => {
    const expected = Result.succeed({ turns: [words("Hi there")], faults: [] })
    assert.deepStrictEqual(Script.parse(` \n{"turns": ["Hi  there"]}`), expected)
    assert.deepStrictEqual(Script.parse(`\uFEFF{"turns": ["Hi there"]}`), expected)
    assert.isTrue(Result.isFailure(Script.parse("{Hi} there")))
    // JSON, too, and no speech
    assert.isTrue(Result.isFailure(Script.parse("[]")))
  })

  it("holds turns, faults, a seed and a close mode", () => {
    const script = good({
      $schema: "script.schema.json",
      turns: [
        "Hello there.",
        "",
        {},
        { words: "Yes, please.", languages: ["en", "de"] },
        { words: ["No", { word: "way", confidence: 0.5 }], endOfTurnConfidence: [{ at: 0, value: 0.2 }, { at: 1.5, value: 1 }] }
      ],
      faults: [{ fault: "mute", turn: 1 }],
      seed: 7,
      closeMode: "end-of-turn"
    })
    assert.deepStrictEqual(script, {
      turns: [
        words("Hello there."),
        { words: [] },
        { words: [] },
        { ...words("Yes, please."), languages: ["en", "de"] },
        { words: [{ word: "No" }, { word: "way", confidence: 0.5 }], endOfTurnConfidence: [{ at: 0, value: 0.2 }, { at: 1.5, value: 1 }] }
      ],
      faults: [{ fault: "mute", turn: 1 }],
      seed: 7,
      closeMode: "end-of-turn"
    })
    assert.deepStrictEqual(good({}), Script.placeholders)
  })

  it("places the words of a timed turn", () => {
    const timed = (turn: Exclude<Script.ScriptInput["turns"], undefined>[number]) => good({ turns: [turn] }).turns[0]
    assert.deepStrictEqual(timed({ at: 1, words: "a b" }), {
      at: 1,
      words: [{ word: "a", start: 1, end: 1.32 }, { word: "b", start: 1.32, end: 1.64 }]
    })
    // a pause moves what follows; one in front moves the turn
    assert.deepStrictEqual(timed({ at: 0.1, words: [{ pause: 0.2 }, "a", { pause: 0.5 }, { pause: 0.1 }, "b"] }), {
      at: 0.3,
      words: [{ word: "a", start: 0.3, end: 0.62 }, { word: "b", start: 1.22, end: 1.54 }]
    })
    // a start makes the turn timed, and cuts the word before it
    assert.deepStrictEqual(timed({ words: [{ word: "a", start: 2 }, { word: "b", start: 2.1, end: 2.2 }, "c", { word: "d", start: 9 }] }), {
      at: 2,
      words: [
        { word: "a", start: 2, end: 2.1 },
        { word: "b", start: 2.1, end: 2.2 },
        { word: "c", start: 2.2, end: 2.52 },
        { word: "d", start: 9, end: 9.32 }
      ]
    })
    assert.deepStrictEqual(timed({ at: 1, words: [{ word: "a", start: 1.5 }] }), {
      at: 1.5,
      words: [{ word: "a", start: 1.5, end: 1.82 }]
    })
    // a pause says when the word behind it begins, and that one alone
    assert.strictEqual(timed({ at: 1, words: ["a", { pause: 0.1 }, "b", { word: "c", start: 3 }] })?.words[2]?.start, 3)
    // the turn after may begin where a turn ends
    assert.lengthOf(good({ turns: [{ at: 0, words: "a" }, "b", { at: 0.32, words: "c" }] }).turns, 3)
  })

  it("goes by the session's time or by stamps, where all turns are timed", () => {
    const word = { word: "a", start: 1, end: 1.32 }
    const timed = { at: 1, words: [word] }
    for (const clock of ["session", "stamps"] as const) {
      assert.deepStrictEqual(good({ clock, turns: [{ at: 1, words: "a" }] }), { clock, turns: [timed], faults: [] })
      // a start times a turn as well
      assert.deepStrictEqual(good({ clock, turns: [{ words: [{ word: "a", start: 1 }] }] }), { clock, turns: [timed], faults: [] })
      assert.deepStrictEqual(good({ clock }), { clock, turns: [], faults: [] })
    }
    assert.notProperty(good({ turns: [{ at: 1, words: "a" }] }), "clock")
    assert.lengthOf(good({ clock: "session", turns: ["a"] }).turns, 1)
  })

  it.each<readonly [problem: string, input: unknown]>([
    ["must be an object", []],
    [`clock: must be "session" | "stamps"`, { clock: "wall", turns: [{ at: 1, words: "a" }] }],
    [`turns[1]: with the clock "stamps" every turn is a timed one: give it "at"`, { clock: "stamps", turns: [{ at: 1, words: "a" }, "b"] }],
    [`turns[0]: with the clock "stamps" every turn is a timed one: give it "at"`, { clock: "stamps", turns: [{ words: "a" }] }],
    [`turns[0]: with the clock "stamps" every turn is a timed one: give it "at"`, { clock: "stamps", turns: [{}] }],
    ["turns[0].at: must be a number of seconds, 0 or more", { clock: "stamps", turns: [{ at: -1, words: "a" }] }],
    ["turns[0].words[0].start: must be a number of seconds, 0 or more", { clock: "stamps", turns: [{ words: [{ word: "a", start: -1 }] }] }],
    ["turns[0]: must be a string or an object", { clock: "stamps", turns: [1] }],
    ["turn: there is no such key", { turn: [] }],
    ["turns: must be an array", { turns: "Hello" }],
    ["seed: must be an integer", { seed: 0.5 }],
    [`closeMode: must be "update" | "end-of-turn"`, { closeMode: "never" }],
    ["turns[0]: must be a string or an object", { turns: [["Hello"]] }],
    ["turns[1].word: there is no such key", { turns: ["a", { word: "b" }] }],
    ["turns[0].words: must be a string or an array", { turns: [{ words: { word: "a" } }] }],
    ["turns[0].words[1]: must be one word, without white space", { turns: [{ words: ["a", "b c"] }] }],
    ["turns[0].words[0]: must be one word, without white space", { turns: [{ words: [""] }] }],
    ["turns[0].words[0]: must be a word, or an object with a word or a pause", { turns: [{ words: [1] }] }],
    ["turns[0].words[0].word: is missing", { turns: [{ words: [{ confidence: 1 }] }] }],
    ["turns[0].words[0].word: must be a string", { turns: [{ words: [{ word: 1 }] }] }],
    ["turns[0].words[0].stop: there is no such key", { turns: [{ at: 1, words: [{ word: "a", stop: 2 }] }] }],
    ["turns[1].words[0].confidence: must be a value between 0 and 1", { turns: ["a", { words: [{ word: "b", confidence: 1.01 }] }] }],
    ["turns[0].words[0].confidence: must be a value between 0 and 1", { turns: [{ words: [{ word: "b", confidence: -0.01 }] }] }],
    ["turns[0].words[0].confidence: must be a number", { turns: [{ words: [{ word: "b", confidence: "high" }] }] }],
    ["turns[0].words[1].pause: must be a number of seconds, 0 or more", { turns: [{ at: 1, words: ["a", { pause: -1 }] }] }],
    ["turns[0].words[1].word: there is no such key", { turns: [{ at: 1, words: ["a", { pause: 1, word: "b" }] }] }],
    ["turns[0].at: must be a number of seconds, 0 or more", { turns: [{ at: -1, words: "a" }] }],
    ["turns[0].words: a timed turn needs words", { turns: [{ at: 1 }] }],
    ["turns[0].words: a timed turn needs words", { turns: [{ at: 1, words: [{ pause: 1 }] }] }],
    ["turns[0].words[0].stop: there is no such key", { turns: [{ words: [{ word: "a", start: 1, stop: 2 }, { pause: 1 }, "b"] }] }],
    [`turns[0].words[1].pause: only in a timed turn: give the turn "at"`, { turns: [{ words: ["a", { pause: 1 }] }] }],
    [`turns[0].words[1].start: only in a timed turn: give the turn "at"`, { turns: [{ words: ["a", { word: "b", start: 1 }] }] }],
    [`turns[0].words[0].end: only in a timed turn: give the turn "at"`, { turns: [{ words: [{ word: "b", end: 1 }] }] }],
    ["turns[0].words[0].start: must not be before the turn's at (2)", { turns: [{ at: 2, words: [{ word: "a", start: 1.9 }] }] }],
    ["turns[0].words[0].end: must be after the start of the word (2)", { turns: [{ at: 2, words: [{ word: "a", end: 2 }] }] }],
    [
      "turns[0].words[1].start: must not be before the end of the word before (2.5)",
      { turns: [{ at: 2, words: [{ word: "a", end: 2.5 }, { word: "b", start: 2.4 }] }] }
    ],
    [
      "turns[0].words[2].start: the pause before the word says when it begins: give one of them",
      { turns: [{ at: 2, words: ["a", { pause: 1 }, { word: "b", start: 5 }] }] }
    ],
    [
      "turns[2].at: must not be before the end of the timed turn before (1.32)",
      { turns: [{ at: 1, words: "a" }, "b", { at: 1.3, words: "c" }] }
    ],
    [
      "turns[1].words[0].start: must not be before the end of the timed turn before (3.32)",
      { turns: [{ at: 1, words: ["a", { pause: 2 }] }, { words: [{ word: "b", start: 3 }] }] }
    ],
    ["turns[0].endOfTurnConfidence: must have a point", { turns: [{ endOfTurnConfidence: [] }] }],
    ["turns[0].endOfTurnConfidence[0].value: is missing", { turns: [{ endOfTurnConfidence: [{ at: 1 }] }] }],
    [
      "turns[0].endOfTurnConfidence[0].value: must be a value between 0 and 1",
      { turns: [{ endOfTurnConfidence: [{ at: 1, value: 70 }] }] }
    ],
    [
      "turns[0].endOfTurnConfidence[1].at: must be after the point before (1)",
      { turns: [{ endOfTurnConfidence: [{ at: 1, value: 0 }, { at: 1, value: 1 }] }] }
    ],
    ["turns[0].languages[0]: must be one word, without white space", { turns: [{ languages: ["en de"] }] }],
    ["faults[0]: must be an object", { faults: ["mute"] }],
    ["faults[0].fault: is missing", { faults: [{ turn: 1 }] }],
    ["faults[1].fault: there is no such fault: flux-stt faults lists them", { faults: [{ fault: "mute" }, { fault: "mutes" }] }],
    ["faults[0].delay: is missing", { faults: [{ fault: "lag" }] }],
    ["faults[0].turns: there is no such key", { faults: [{ fault: "mute", turns: 1 }] }]
  ])("refuses: %s", (problem, input) => {
    assert.deepStrictEqual(problems(input), [problem])
  })

  it("tells every broken rule at once", () => {
    const broken = {
      bar: 1,
      clock: "stamps",
      turns: [
        { words: [{ word: "a z", confidence: 2 }, "b c"], mood: "good" },
        { at: 3, words: "d" },
        { at: 1, words: [{ word: "e", end: 0.5 }], endOfTurnConfidence: [{ at: 2, value: 0 }, { at: 1, value: 5 }] },
        { words: "f", mood: "bad" }
      ],
      faults: [{ fault: "lag", delay: -1 }]
    }
    assert.deepStrictEqual(problems(broken).map((problem) => problem.split(":")[0]).toSorted(), [
      "bar",
      "faults[0].delay",
      "turns[0].mood",
      "turns[0].words[0].confidence",
      "turns[0].words[0].word",
      "turns[0].words[1]",
      "turns[2].at",
      "turns[2].endOfTurnConfidence[1].at",
      "turns[2].endOfTurnConfidence[1].value",
      "turns[2].words[0].end",
      "turns[3]",
      "turns[3].mood"
    ])
  })

  it.each<readonly [text: string, place: string, rule: string]>([
    [`{"turns": [\n  "a" "b"]}`, "line 2, column 7", "Expected ',' or ']' after array element"],
    [`{"turns": [\r\n\r\n  a]}`, "line 3, column 3", "Unexpected token 'a'"],
    [`{"turns": ["secret", , "words"]}`, "line 1, column 22", "Unexpected token ','"],
    [`{"turns": ["a"]`, "line 1, column 16", "Expected ',' or '}' after property value"],
    [`{"turns": [`, "line 1, column 12", "Unexpected end of JSON input"],
    [`{'turns': []}`, "line 1, column 2", "Expected property name or '}'"],
    [`{"turns": ["a\nb"]}`, "line 1, column 14", "Bad control character in string literal"],
    [`{}\n{}`, "line 2, column 1", "Unexpected non-whitespace character after JSON"]
  ])("says where %j is no JSON", (text, place, rule) => {
    assert.deepStrictEqual(Script.fromJson(text), Result.fail([`${place}: ${rule}`]))
  })
})

describe("Script in code", () => {
  it("is the JSON form as a value", () => {
    const input: Script.ScriptInput = { turns: ["a", { at: 1, words: ["b", { pause: 1 }, "c"] }], faults: [{ fault: "end" }] }
    assert.deepStrictEqual(Script.make(input), good(input))
  })

  it("throws where a rule is broken, with all of them", () => {
    assert.throws(
      () => Script.make({ seed: 0.5, turns: [{ at: -1, words: "a" }] }),
      RangeError,
      "Bad script: seed: must be an integer; turns[0].at: must be a number of seconds, 0 or more"
    )
  })
})

/** Objects within a JSON Schema, with what they are called. */
const objectsOf = (schema: unknown): Array<Readonly<Record<string, unknown>>> =>
  typeof schema !== "object" || schema === null
    ? []
    : [{ ...schema }, ...Object.values(schema).flatMap(objectsOf)]

describe("Script's JSON Schema", () => {
  it("knows the draft, describes every field and allows no other", () => {
    const schema = Script.jsonSchema()
    assert.propertyVal(schema, "$schema", "https://json-schema.org/draft/2020-12/schema")
    const structs = objectsOf(schema).filter(({ type }) => type === "object")
    assert.isAbove(structs.length, 30)
    for (const { additionalProperties, properties } of structs) {
      assert.isFalse(additionalProperties)
      for (const [name, field] of Object.entries(properties ?? {})) {
        if (name !== "fault") assert.property(field, "description", name)
      }
    }
  })
})
