/** How long the command takes to its first event, beside a Node that does nothing. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { median } from "../support/percentile.ts"

/** Wall times, ms. */
export interface Startup {
  readonly command: number
  readonly node: number
}

const root = fileURLToPath(new URL("../../../", import.meta.url))

/** To the first byte on standard output, else to the end. */
const time = (args: ReadonlyArray<string>): Promise<number> =>
  new Promise((resolve, reject) => {
    const begin = performance.now()
    const child = spawn(process.execPath, [...args], { cwd: root, stdio: ["ignore", "pipe", "ignore"] })
    let first: number | undefined
    child.stdout.on("data", () => {
      first ??= performance.now() - begin
    })
    child.on("error", reject)
    child.on("exit", () => resolve(first ?? performance.now() - begin))
  })

/** Medians of so many runs, after one that does not count. `command` is the built one. */
export const measureStartup = async (command: string, repeats: number): Promise<Startup> => {
  const args = [command, "transcribe", "--simulate", "--pace", "fast"]
  const runs = { command: new Array<number>(), node: new Array<number>() }
  await time(args)
  for (let repeat = 0; repeat < repeats; repeat++) {
    runs.node.push(await time(["-e", "0"]))
    runs.command.push(await time(args))
  }
  return { command: median(runs.command), node: median(runs.node) }
}
