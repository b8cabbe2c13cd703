/** The command at a terminal, and where there is none. */
import { assert, describe, it } from "@effect/vitest"
import { lines as spokenLines, run, simulate, spoken } from "../support/command.ts"
import * as terminal from "../support/terminal.ts"

const call = ["transcribe", "--simulate"]
const escape = "\u001b["
const summary = [
  /^flux-stt: 3 turns in 11\.6 s of audio; 0 reconnects$/,
  /^flux-stt: first word (\d+ ms|\d+\.\d s) after it was said \(median; at most (\d+ ms|\d+\.\d s)\)$/,
  /^flux-stt: end of turn (\d+ ms|\d+\.\d s) after the audio that ended it \(median; at most (\d+ ms|\d+\.\d s)\)$/
]

describe.concurrent("at a terminal", { timeout: 60_000 }, () => {
  it("the turn grows in one line, settles into a line that stays, and a summary follows", async () => {
    const at = terminal.start([...call, "--eager-eot-threshold", "0.5"], { columns: 100, env: { NO_COLOR: "1" } })
    assert.strictEqual(await at.status, 0)
    const { lines, live } = at.seen()
    assert.match(lines[0] ?? "", /simulating the endpoint/)
    assert.deepStrictEqual(lines.slice(1, 4).map(spoken), spokenLines)
    assert.match(lines[1] ?? "", /^\[00:00\.3 - 00:03\.0\] /)
    for (const [at, pattern] of summary.entries()) assert.match(lines[4 + at] ?? "", pattern)
    assert.strictEqual(lines.length, 7)
    // it tells of audio, confidence and thresholds
    const growing = live.flatMap((line) => /^(\d\d:\d\d\.\d) {2}([01]\.\d\d) of 0\.50\/0\.70 {2}(.*)$/.exec(line)?.slice(1) ?? [])
    const words = growing.filter((_, at) => at % 3 === 2)
    assert.includeMembers(words, ["Hello,", "Hello, I would like", "Great, thank you very much for"])
    const confidences = growing.filter((_, at) => at % 3 === 1).map(Number)
    assert.isAbove(Math.max(...confidences), 0.3)
    const times = growing.filter((_, at) => at % 3 === 0)
    assert.deepStrictEqual(times, times.toSorted())
    assert.isTrue(live.some((line) => /^00:0\d\.\d {2}listening$/.test(line)))
    // never wider than the terminal, which would leave rubbish behind
    assert.isBelow(Math.max(...live.map((line) => line.length)), 100)
    // and nothing of it is left
    assert.isTrue(at.output().endsWith("\r\u001b[2K"))
  })

  it("what is noted stands above the line, and a narrow terminal is no wider for it", async () => {
    const at = terminal.start([...call, "--fault", "reset,session=0,turn=1,after=0.5"], { columns: 50 })
    assert.strictEqual(await at.status, 0)
    const { lines, live } = at.seen()
    assert.deepStrictEqual(lines.filter((line) => line.startsWith("[")).map(spoken), spokenLines)
    assert.isTrue(lines.some((line) => /^flux-stt: warning: The connection was lost: .*; trying again \(attempt 1\)$/.test(line)))
    assert.isTrue(lines.some((line) => /^flux-stt: 3 turns in 11\.6 s of audio; 1 reconnect$/.test(line)))
    // eslint-disable-next-line no-control-regex
    const bare = live.map((line) => line.replaceAll(/\u001b\[\d+m/g, ""))
    assert.isBelow(Math.max(...bare.map((line) => line.length)), 50)
    assert.isTrue(bare.some((line) => line.includes("…")))
    // colours, as nothing speaks against them
    assert.include(at.output(), `${escape}2m0.00`)
  })

  it("what the simulator logs stands above it, too", async () => {
    const at = terminal.start([...call, "--log-level", "info"], { columns: 200, env: { NO_COLOR: "1" } })
    assert.strictEqual(await at.status, 0)
    const { lines } = at.seen()
    assert.isTrue(lines.some((line) => /^\[[\d:.]+\] INFO .* Simulated session/.test(line)))
    assert.deepStrictEqual(lines.filter((line) => /listening.*INFO|of 0\.70.*INFO/.test(line)), [])
  })

  it("NO_COLOR has no colours, and still the line", async () => {
    const at = terminal.start(["doctor"], { env: { NO_COLOR: "1" } })
    assert.strictEqual(await at.status, 1)
    // eslint-disable-next-line no-control-regex
    assert.notMatch(at.output(), /\u001b\[\d+m/)
    const coloured = terminal.start(["doctor"])
    assert.strictEqual(await coloured.status, 1)
    assert.include(coloured.output(), `${escape}31mFAIL`)
  })

  it("a dumb one has plain lines", async () => {
    const at = terminal.start([...call, "--pace", "fast"], { env: { TERM: "dumb" } })
    assert.strictEqual(await at.status, 0)
    assert.notInclude(at.output(), escape)
    assert.deepStrictEqual(at.seen().lines.filter((line) => line.startsWith("[")).map(spoken), spokenLines)
  })

  it("--json stays NDJSON", async () => {
    const at = terminal.start([...call, "--pace", "fast", "--json"])
    assert.strictEqual(await at.status, 0)
    assert.notInclude(at.output(), escape)
    const { lines } = at.seen()
    const events = lines.filter((line) => !line.startsWith("flux-stt: ")).map((line) => JSON.parse(line))
    assert.strictEqual(events.at(-1)?.type, "Disconnected")
    assert.isTrue(lines.some((line) => summary[0]?.test(line)))
  })

  it("Ctrl-C ends the audio, and the words so far settle", async () => {
    const at = terminal.start(call, { env: { NO_COLOR: "1" } })
    await at.until(/Hello, I would/)
    at.write("\u0003")
    assert.strictEqual(await at.status, 0)
    const { lines } = at.seen()
    assert.isTrue(lines.some((line) => /^\[00:00\.\d - 00:0\d\.\d\] Hello, I would.* \(closed\)$/.test(line)))
    assert.isTrue(lines.some((line) => line.endsWith("finishing; once more to stop at once")))
    assert.match(lines.join("\n"), /^flux-stt: 1 turn in /m)
  })

  it("a second Ctrl-C interrupts: the turn that was open is lost, and counted", async () => {
    // a server that never ends keeps the first one from ending it
    const at = terminal.start([...call, "--fault", "mute,at=1.2"], { env: { NO_COLOR: "1", FLUX_DRAIN_TIMEOUT: "60 seconds" } })
    await at.until(/00:01\.[5-9] .*Hello/)
    at.write("\u0003")
    await at.until(/once more to stop at once/)
    await new Promise((resume) => setTimeout(resume, 400))
    at.write("\u0003")
    assert.strictEqual(await at.status, 130)
    const { lines } = at.seen()
    assert.isTrue(lines.some((line) => /^\[.*\] Hello.* \(lost\)$/.test(line)))
    assert.match(lines.join("\n"), /^flux-stt: 1 turn in /m)
  })

  it("standard input that is a terminal has no audio", async () => {
    const at = terminal.start(["transcribe", "--simulate", "-"])
    assert.strictEqual(await at.status, 2)
    assert.strictEqual(at.output(), "flux-stt: file: standard input is a terminal: pipe audio into it, or give a file\r\n")
  })
})

describe.concurrent("without a terminal", { timeout: 60_000 }, () => {
  it("are plain lines, whatever the environment says of colours", async () => {
    const { lines, status, stderr, stdout } = await run(simulate, { env: { TERM: "xterm-256color", FORCE_COLOR: "1" } })
    assert.strictEqual(status, 0)
    assert.notInclude(`${stdout}${stderr}`, "\u001b")
    assert.deepStrictEqual(lines.map(spoken), spokenLines)
    assert.notInclude(stderr, "turns in")
  })
})
