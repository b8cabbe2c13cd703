/** Where a text is no query string that SageMaker takes, and what is said of it. */
import { assert, describe, it } from "@effect/vitest"
import { maxLength, problemOf } from "../../../src/simulator/model/queryString.ts"

const known = new Set(["model", "keyterm", "tag", "sample_rate"])
const problem = (text: string): string | undefined => problemOf(text, (name) => known.has(name))
const base = "model=flux-general-en"
/** The place, from 1, of the nth character after the base. */
const at = (n: number): number => base.length + n

/** As protocol 1.3 has it. */
const pair = "[a-zA-Z0-9][A-Za-z0-9_-]*=(?:[A-Za-z0-9._~\\-]|%[0-9A-Fa-f]{2})+"
const pattern = new RegExp(`^${pair}(?:&${pair})*$`)
const isLegal = (text: string): boolean => text.length <= 2048 && pattern.test(text)

const rule = {
  name: "a parameter's name begins with a letter or a digit",
  letters: "a parameter's name has letters, digits, _ and - only",
  utf8: "what is not ASCII is percent-encoded as UTF-8",
  percent: "two hexadecimal digits must follow it; a percent sign is written %25",
  plus: "a space is written %20, never +, and a plus sign %2B"
}
/** What follows the base, and what is said of it. */
const table: ReadonlyArray<readonly [more: string, says: string]> = [
  // values
  ["&keyterm=customer+service", `character ${at(18)} (+) in keyterm: ${rule.plus}`],
  ["&keyterm=+", `character ${at(10)} (+) in keyterm: ${rule.plus}`],
  ["&keyterm=a b", `character ${at(11)} (a space) in keyterm: it is written %20`],
  ["&keyterm=a,b", `character ${at(11)} (,) in keyterm: it is written %2C`],
  ["&keyterm=\"a\"", `character ${at(10)} (") in keyterm: it is written %22`],
  ["&keyterm=it's", `character ${at(12)} (') in keyterm: it is written %27`],
  ["&keyterm=f(x)", `character ${at(11)} (() in keyterm: it is written %28`],
  ["&keyterm=x)", `character ${at(11)} ()) in keyterm: it is written %29`],
  ["&keyterm=a!", `character ${at(11)} (!) in keyterm: it is written %21`],
  ["&keyterm=a*b", `character ${at(11)} (*) in keyterm: it is written %2A`],
  ["&tag=a/b", `character ${at(7)} (/) in tag: it is written %2F`],
  ["&tag=a:b", `character ${at(7)} (:) in tag: it is written %3A`],
  ["&tag=a=b", `character ${at(7)} (=) in tag: it is written %3D`],
  ["&tag=a?b", `character ${at(7)} (?) in tag: it is written %3F`],
  ["&tag=a#b", `character ${at(7)} (#) in tag: it is written %23`],
  ["&tag=[a]", `character ${at(6)} ([) in tag: it is written %5B`],
  ["&tag=a\n", `character ${at(7)} (U+000A) in tag: it is written %0A`],
  ["&tag=a\u0000", `character ${at(7)} (U+0000) in tag: it is written %00`],
  ["&tag=a\u007f", `character ${at(7)} (U+007F) in tag: it is written %7F`],
  ["&keyterm=caf\u00e9", `character ${at(13)} (\u00e9, U+00E9) in keyterm: ${rule.utf8}`],
  ["&keyterm=\u65e5\u672c", `character ${at(10)} (\u65e5, U+65E5) in keyterm: ${rule.utf8}`],
  ["&keyterm=\u{1f600}", `character ${at(10)} (\u{1f600}, U+1F600) in keyterm: ${rule.utf8}`],
  ["&keyterm=a\u00a0b", `character ${at(11)} (U+00A0) in keyterm: ${rule.utf8}`],
  ["&keyterm=a\u200bb", `character ${at(11)} (U+200B) in keyterm: ${rule.utf8}`],
  ["&keyterm=\ud800", `character ${at(10)} (U+D800) in keyterm: ${rule.utf8}`],
  ["&tag=100%", `character ${at(9)} (%) in tag: ${rule.percent}`],
  ["&tag=%2", `character ${at(6)} (%) in tag: ${rule.percent}`],
  ["&tag=%zz", `character ${at(6)} (%) in tag: ${rule.percent}`],
  ["&tag=%20%2g", `character ${at(9)} (%) in tag: ${rule.percent}`],
  ["&tag=%%20", `character ${at(6)} (%) in tag: ${rule.percent}`],
  ["&tag=", `tag, which begins at character ${at(2)}, has an empty value: leave it out`],
  ["&tag=&keyterm=a", `tag, which begins at character ${at(2)}, has an empty value: leave it out`],
  // names
  ["&tag", `tag, which begins at character ${at(2)}, has no = and no value`],
  ["&keyterm=AT&T", `parameter 3, which begins at character ${at(13)}, has no = and no value; an & within a value is written %26`],
  ["&keyterm=Marks & Spencer", `character ${at(15)} (a space) in keyterm: it is written %20`],
  ["&=a", `character ${at(2)} (=) in parameter 2: a parameter's name is missing before it`],
  ["&-tag=a", `character ${at(2)} (-) in parameter 2: ${rule.name}`],
  ["&_tag=a", `character ${at(2)} (_) in parameter 2: ${rule.name}`],
  ["& tag=a", `character ${at(2)} (a space) in parameter 2: ${rule.name}`],
  ["&ta.g=a", `character ${at(4)} (.) in parameter 2: ${rule.letters}`],
  ["&key term=a", `character ${at(5)} (a space) in parameter 2: ${rule.letters}`],
  ["&t\u00e4g=a", `character ${at(3)} (\u00e4, U+00E4) in parameter 2: ${rule.letters}`],
  // what is between them
  ["&", `character ${at(1)} (&): no parameter follows it`],
  ["&tag=a&", `character ${at(7)} (&): no parameter follows it`],
  ["&&tag=a", `character ${at(2)} (&): no parameter comes between it and the one before`],
  ["&tag=a&&&tag=b", `character ${at(8)} (&): no parameter comes between it and the one before`]
]

describe("a query string", () => {
  for (const [more, says] of table) {
    it(`${JSON.stringify(more)}: the first wrong character, its place and its parameter are told`, () => {
      const text = base + more
      assert.isFalse(isLegal(text))
      assert.strictEqual(problem(text), says)
      // the place is that of the character which is told
      const [, place, character] = /^character (\d+) \((.)/u.exec(says) ?? []
      if (place !== undefined && character !== "a" && character !== "U") assert.isTrue(text.slice(Number(place) - 1).startsWith(character ?? "?"))
    })
  }

  it.each([
    ["", "it is empty"],
    ["?model=a", "character 1 (?): a query string begins after it"],
    ["&model=a", "character 1 (&): no parameter comes before it"],
    ["?", "character 1 (?): a query string begins after it"],
    [`tag=${"x".repeat(2045)}`, "it has 2049 characters, and 2048 are the most"],
    [`tag=${"+".repeat(3000)}`, "it has 3004 characters, and 2048 are the most"]
  ])("%j: is told of as a whole", (text, says) => {
    assert.isFalse(isLegal(text))
    assert.strictEqual(problem(text), says)
  })

  it("says nothing of the words it holds but for one character", () => {
    for (const odd of ["+", " ", ",", "%", "\u00e9", "&", "=", "#"]) {
      assert.notMatch(problem(`${base}&keyterm=Zanzibar${odd}Timbuktu`) ?? "", /Zanzibar|Timbuktu/)
      assert.notMatch(problem(`${base}&Zanzibar${odd}Timbuktu`) ?? "", /Zanzibar|Timbuktu/)
    }
  })

  it("is legal just where the protocol's pattern says so", () => {
    // a generator of one's own: the same texts in each run
    let state = 20_261_130
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const pieces = ["a", "Z", "7", "-", "_", ".", "~", "%", "%2", "%20", "%fF", "&", "=", "=a", "tag=", "+", " ", "\u00e9", "\n", "?", "&tag=b"]
    const seen = { legal: 0, illegal: 0 }
    for (let n = 0; n < 20_000; n++) {
      let text = random(2) === 0 ? "" : "tag=a"
      for (let length = random(8); length > 0; length--) text += pieces[random(pieces.length)] ?? ""
      const legal = isLegal(text)
      seen[legal ? "legal" : "illegal"]++
      assert.strictEqual(problem(text) === undefined, legal, JSON.stringify(text))
    }
    assert.isAbove(seen.legal, 1000)
    assert.isAbove(seen.illegal, 1000)
    assert.isUndefined(problem(`tag=${"x".repeat(maxLength - 4)}`))
  })
})
