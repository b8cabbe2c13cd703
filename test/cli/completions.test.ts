/** Completion of the command line by the shells themselves: somebody types a part of it at a terminal, then Tab and Enter. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { chmodSync, existsSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { file, run } from "../support/command.ts"
import * as terminal from "../support/terminal.ts"

/** How each is started without its user's own set-up, and told of completions. */
const shells = {
  bash: { args: ["--norc", "--noprofile", "-i"], load: (script: string) => `source ${script}` },
  zsh: { args: ["-f", "-i"], load: (script: string) => `autoload -U compinit; compinit -D -u; source ${script}` },
  fish: { args: ["--no-config", "-i"], load: (script: string) => `source ${script}` }
}
const path = process.env["PATH"] ?? ""
const isThere = (shell: string): boolean => path.split(delimiter).some((folder) => existsSync(join(folder, shell)))

/** What is typed before Tab, and what the command is given in the end. */
const cases: ReadonlyArray<readonly [typed: string, given: string]> = [
  ["tr", "[transcribe]"],
  ["doctor --conn", "[doctor][--connect]"],
  ["transcribe --eager", "[transcribe][--eager-eot-threshold]"],
  ["transcribe --pace f", "[transcribe][--pace][fast]"],
  ["simulate --close-mode end", "[simulate][--close-mode][end-of-turn]"],
  ["schema c", "[schema][capture]"]
]

let [command, recording] = ["", ""]
beforeAll(() => {
  // tells what it was given
  command = file("flux-stt", "#!/bin/sh\nprintf 'given '; printf '[%s]' \"$@\"; echo ' so'\n")
  chmodSync(command, 0o755)
  recording = file("call-one.wav", "")
})

describe.concurrent("completions", { timeout: 30_000 }, () => {
  for (const [shell, { args, load }] of Object.entries(shells)) {
    it.skipIf(!isThere(shell))(shell, async () => {
      const { status, stdout } = await run(["--completions", shell])
      assert.strictEqual(status, 0)
      const script = file(`completions.${shell}`, stdout)
      const at = terminal.start(args, {
        program: shell,
        columns: 200,
        env: { PATH: `${dirname(command)}${delimiter}${path}`, HOME: dirname(command), PS1: "> " }
      })
      at.write(`${load(script)}; echo loa''ded\r`)
      await at.until(/loaded/)
      for (const [typed, given] of [
        ...cases,
        [`transcribe ${recording.slice(0, -7)}`, `[transcribe][${recording}]`],
        [`transcribe --capture ${recording.slice(0, -7)}`, `[transcribe][--capture][${recording}]`]
      ] as const) {
        at.write(`flux-stt ${typed}\t`)
        at.write("\r")
        const answered = new RegExp(`given ${given.replaceAll(/[[\].]/g, "\\$&")} so`)
        await at.until(answered)
      }
      at.write("exit\r")
      assert.strictEqual(await at.status, 0)
    })
  }
})
