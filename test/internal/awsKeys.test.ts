import { assert, describe, it } from "@effect/vitest"
import { problemOf } from "../../src/internal/awsKeys.ts"

const sound = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY=", sessionToken: "IQoJb3JpZ2luX2VjE//+==" }

describe("keys of AWS", () => {
  it("are sound as AWS makes them, and as tests make them up", () => {
    assert.isUndefined(problemOf(sound))
    for (const sessionToken of [undefined, ""]) assert.isUndefined(problemOf({ accessKeyId: "any", secretAccessKey: "s3cret!#$%&()*,-.:;<>?@[]^_{|}~", sessionToken }))
  })

  const cases: ReadonlyArray<readonly [added: (key: string) => string, problem: string]> = [
    [(key) => `${key}\n`, "ends in a newline"],
    [(key) => `${key}\r`, "ends in a carriage return (CR, of Windows's line ends)"],
    // the last one is told
    [(key) => `${key}\r\n`, "ends in a newline"],
    [(key) => `${key} `, "ends in a blank"],
    [(key) => ` ${key}`, "begins with a blank"],
    [(key) => `\t${key}`, "begins with a tab"],
    [(key) => `\n${key}`, "begins with a newline"],
    [(key) => `\uFEFF${key}`, "begins with a byte order mark (U+FEFF)"],
    [(key) => `${key}\u00A0`, "ends in a blank that does not break (U+00A0)"],
    [(key) => `${key}\u2003`, "ends in a blank (U+2003)"],
    [(key) => `${key}\u200B`, "ends in a character that no key has (U+200B)"],
    [(key) => `${key}\u0000`, "ends in a character that no key has (U+0000)"],
    [(key) => `${key.slice(0, 3)} ${key.slice(3)}`, "has a blank in it"],
    [(key) => `${key.slice(0, 3)}\n${key.slice(3)}`, "has a newline in it"],
    [(key) => `${key.slice(0, 3)}\u00E9${key.slice(3)}`, "has a character that no key has (U+00E9)"],
    [(key) => `"${key}"`, "has quotes around it (\")"],
    [(key) => `'${key}'`, "has quotes around it (')"],
    [(key) => `${key}"`, "ends in a quote (\")"],
    [(key) => `\u201C${key}\u201D`, "ends in a character that no key has (U+201D)"],
    [() => " \r\n", "is blank"]
  ]
  for (const key of ["accessKeyId", "secretAccessKey", "sessionToken"] as const) {
    it(`a wrong ${key} is named, with what is wrong and never what it is`, () => {
      for (const [added, problem] of cases) {
        const found = problemOf({ ...sound, [key]: added(sound[key]) })
        assert.strictEqual(found?.key, key)
        assert.include([problem, `${problem} in it`], found?.problem)
        assert.notInclude(JSON.stringify(found), sound[key].slice(0, 3))
      }
    })
  }

  it("that are missing or no text are told so", () => {
    assert.deepStrictEqual(problemOf({ ...sound, secretAccessKey: "" }), { key: "secretAccessKey", problem: "is empty" })
    for (const missing of [undefined, null]) assert.deepStrictEqual(problemOf({ ...sound, accessKeyId: missing }), { key: "accessKeyId", problem: "is missing" })
    assert.deepStrictEqual(problemOf({ ...sound, sessionToken: 7 }), { key: "sessionToken", problem: "is no text" })
  })
})
