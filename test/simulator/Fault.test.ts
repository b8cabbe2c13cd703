import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Fault from "../../src/simulator/Fault.ts"

const decode = Schema.decodeUnknownResult(Fault.Fault, { onExcessProperty: "error" })

describe("Fault", () => {
  describe("fromFlag", () => {
    const good: ReadonlyArray<readonly [flag: string, fault: Fault.Fault]> = [
      ["end", { fault: "end" }],
      ["mute,turn=1,after=0.5", { fault: "mute", turn: 1, after: 0.5 }],
      ["reset,at=2.5,session=0", { fault: "reset", at: 2.5, session: 0 }],
      ["reset,code=8", { fault: "reset", code: 8 }],
      ["reject-424,chance=0.3", { fault: "reject-424", chance: 0.3 }],
      ["model-stream-error,at=close,as=event", { fault: "model-stream-error", at: "close", as: "event" }],
      ["omit,event=EndOfTurn,turn=0", { fault: "omit", event: "EndOfTurn", turn: 0 }],
      ["error-500,as=typed,delay=20", { fault: "error-500", as: "typed", delay: 20 }],
      // a code is a number in HTTP/2 and a text everywhere else
      ["error-frame,code=500", { fault: "error-frame", code: "500" }],
      ["flux-error,description=a=b", { fault: "flux-error", description: "a=b" }],
      ["say,at=end,text={\"type\":\"X\",\"a\":[1,2]}, and,so=on", {
        fault: "say",
        at: "end",
        text: "{\"type\":\"X\",\"a\":[1,2]}, and,so=on"
      }],
      ["say,text=", { fault: "say", text: "" }]
    ]
    it.each(good)("%s", (flag, fault) => {
      assert.deepStrictEqual(Fault.fromFlag(flag), Result.succeed(fault))
    })

    const bad: ReadonlyArray<readonly [flag: string, problems: ReadonlyArray<RegExp>]> = [
      ["", [/no fault ""; known are accept-and-hang, .*max-streams/]],
      ["toString", [/no fault "toString"/]],
      ["Mute", [/no fault "Mute"/]],
      ["mute,", [/^mute: after a comma must come KEY=VALUE$/]],
      ["mute,turn", [/KEY=VALUE/]],
      ["mute,,turn=1", [/KEY=VALUE/]],
      ["mute,turns=1", [/^mute: there is no key "turns"; it takes session, chance, at, turn, after, for$/]],
      ["mute,fault=end", [/no key "fault"/]],
      ["mute,__proto__=1", [/no key "__proto__"/]],
      ["mute,turn=1,turn=2", [/^mute: turn is given twice$/]],
      ["mute,at=1,turn=1", [/^mute: not both at and turn$/]],
      ["mute,after=1", [/^mute: after needs turn$/]],
      ["mute,at=soon", [/^mute: at must be a finite number or "close" \| "end"$/]],
      ["mute,at=-1", [/at must be a value greater than or equal to 0/]],
      ["mute,at=Infinity", [/at must be/]],
      ["mute,at=", [/at must be/]],
      ["mute,turn=0.5", [/turn must be an integer/]],
      ["reset,code=2147483648", [/code must be/]],
      ["end,chance=1.5", [/chance must be/]],
      ["end,session=-1", [/session must be/]],
      ["throttle,as=event", [/no key "as"/]],
      ["error-500,as=event", [/^error-500: as must be "html" \| "typed"$/]],
      ["not-found-400,as=typed", [/no key "as"/]],
      ["model-stream-error,as=error", [/as must be "exception" \| "event"/]],
      ["late-headers", [/^late-headers: delay is missing$/]],
      ["say", [/^say: text is missing$/]],
      ["omit,event=Endofturn", [/event must be .*"EndOfTurn"/]],
      ["split-parts,bytes=0", [/bytes must be/]],
      ["lag,delay=x,session=y", [/delay must be/, /session must be/]]
    ]
    it.each(bad)("%s is refused", (flag, problems) => {
      const parsed = Fault.fromFlag(flag)
      if (Result.isSuccess(parsed)) return assert.fail(JSON.stringify(parsed.success))
      for (const problem of problems) assert.match(parsed.failure, problem)
    })

    it.prop("reads back what was written", [Fault.Fault], ([fault]) => {
      const { fault: name, ...fields } = fault
      const pairs = Object.entries(fields).filter(([, value]) => value !== undefined)
      // the text of `say` goes to the end; elsewhere a comma cannot be written
      const [texts, others] = [pairs.filter(([key]) => key === "text"), pairs.filter(([key]) => key !== "text")]
      if (others.some(([, value]) => String(value).includes(","))) return
      const flag = [name, ...[...others, ...texts].map(([key, value]) => `${key}=${String(value)}`)].join(",")
      const parsed = Fault.fromFlag(flag)
      if (Result.isFailure(parsed)) return assert.fail(`${flag}: ${parsed.failure}`)
      // -0 is written as 0
      assert.deepStrictEqual(JSON.stringify(sorted(parsed.success)), JSON.stringify(sorted(fault)))
    }, { arbitrary: { runs: 300, seed: "flags" } })
  })

  it("the same rules hold for faults in JSON", () => {
    const refused = (input: object) => Result.isFailure(decode(input))
    assert.isFalse(refused({ fault: "mute", turn: 1, after: 0.5 }))
    assert.isTrue(refused({ fault: "mute", at: 1, turn: 1 }))
    assert.isTrue(refused({ fault: "mute", after: 1 }))
    assert.isTrue(refused({ fault: "mute", at: "1" }))
    assert.isTrue(refused({ fault: "mute", forr: 1 }))
  })

  it("the menu has every fault, with its keys and what they mean", () => {
    assert.deepStrictEqual([...Fault.names].toSorted(), Object.keys(Fault.Fault.cases).toSorted())
    assert.deepStrictEqual(Fault.menu.map(({ name }) => name), [...Fault.names])
    assert.deepStrictEqual(
      Fault.menu.flatMap(({ description, keys, name }) =>
        [description, ...keys.map(({ description }) => description)].some((text) => text === "") ? [name] : []),
      []
    )
    const late = Fault.menu.find(({ name }) => name === "late-headers")
    assert.deepStrictEqual(late?.keys.map(({ key, required }) => [key, required]), [["delay", true]])
    const reset = Fault.menu.find(({ name }) => name === "reset")
    assert.deepStrictEqual(reset?.keys.map(({ key, required }) => [key, required]), [
      ["at", false],
      ["turn", false],
      ["after", false],
      ["code", false]
    ])
  })

  describe("plan", () => {
    const always: Fault.Fault = { fault: "split-parts" }
    const second: Fault.Fault = { fault: "mute", session: 1 }
    const rarely: Fault.Fault = { fault: "end", chance: 0.3 }
    const often: Fault.Fault = { fault: "reset", chance: 0.9 }
    const sessions = Array.from({ length: 2000 }, (_, session) => session)
    const fates = (faults: ReadonlyArray<Fault.Fault>, seed: number): Array<string> =>
      sessions.map((session) => Fault.plan(faults, seed, session).map(({ fault }) => fault).join(" "))
    const share = (fates: ReadonlyArray<string>, name: string): number =>
      fates.filter((fate) => fate.split(" ").includes(name)).length / fates.length
    /** Four standard deviations of a share over so many sessions: missed once in 16,000 seeds. */
    const tolerance = (chance: number): number => 4 * Math.sqrt((chance * (1 - chance)) / sessions.length)

    it("a session takes the faults of every session and its own, in their order", () => {
      const faults = [second, always]
      assert.deepStrictEqual(Fault.plan(faults, 1, 0), [always])
      assert.deepStrictEqual(Fault.plan(faults, 1, 1), [second, always])
      assert.deepStrictEqual(Fault.plan([], 1, 1), [])
    })
    it("what is left to chance repeats with the seed, and differs with another", () => {
      assert.deepStrictEqual(fates([rarely, often], 7), fates([rarely, often], 7))
      assert.notDeepEqual(fates([rarely, often], 7), fates([rarely, often], 8))
    })
    it("happens as often as it should", () => {
      const drawn = fates([rarely, often, { fault: "lag", delay: 1, chance: 0 }, { fault: "chop-data", chance: 1 }], 3)
      assert.closeTo(share(drawn, "end"), 0.3, tolerance(0.3))
      assert.closeTo(share(drawn, "reset"), 0.9, tolerance(0.9))
      assert.strictEqual(share(drawn, "lag"), 0)
      assert.strictEqual(share(drawn, "chop-data"), 1)
    })
    it("faults are drawn each for itself, and neighbouring sessions and seeds too", () => {
      const half = (fault: "end" | "mute"): Fault.Fault => ({ fault, chance: 0.5 })
      const drawn = fates([half("end"), half("mute")], 3)
      assert.closeTo(drawn.filter((fate) => fate === "end mute").length / drawn.length, 0.25, tolerance(0.25))
      const ends = fates([half("end")], 3)
      const other = fates([half("end")], 4)
      const same = (one: ReadonlyArray<string>, two: ReadonlyArray<string>): number =>
        one.filter((fate, at) => fate === two[at]).length / one.length
      assert.closeTo(same(ends, other), 0.5, tolerance(0.5))
      assert.closeTo(same(ends, ends.slice(1)), 0.5, tolerance(0.5))
    })
    it("a fault's draw does not depend on those behind it, nor on whether those before it are left to chance", () => {
      const alone = fates([rarely], 5).map((fate) => fate.includes("end"))
      assert.deepStrictEqual(fates([rarely, often, always], 5).map((fate) => fate.includes("end")), alone)
      const after = (first: Fault.Fault) => fates([first, rarely], 5).map((fate) => fate.includes("end"))
      assert.deepStrictEqual(after(always), after(often))
    })
  })

  it("random numbers are in 0 to below 1, repeat with the seed, and differ by session", () => {
    const numbers = (seed: number, session: number) => {
      const draw = Fault.random(seed, session)
      return Array.from({ length: 1000 }, () => draw())
    }
    const drawn = numbers(1, 0)
    assert.isTrue(drawn.every((number) => number >= 0 && number < 1))
    // the mean of a thousand, within four standard deviations
    assert.closeTo(drawn.reduce((sum, number) => sum + number, 0) / 1000, 0.5, 4 / Math.sqrt(12_000))
    assert.deepStrictEqual(numbers(1, 0), drawn)
    assert.notDeepEqual(numbers(1, 1), drawn)
    assert.notDeepEqual(numbers(2, 0), drawn)
  })
})

const sorted = (fault: Fault.Fault): object =>
  Object.fromEntries(Object.entries(fault).filter(([, value]) => value !== undefined).toSorted(([one], [other]) => one.localeCompare(other)))
