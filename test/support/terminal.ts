/** The command, or another program, at a terminal: a pseudo-terminal, and what somebody sees on it. */
import { createRequire } from "node:module"
import type * as Pty from "@lydell/node-pty"
import { bin, compileCache, root } from "./command.ts"

// an ES import would find nothing: the package is CommonJS that Node cannot see through
const pty: typeof Pty = createRequire(import.meta.url)("@lydell/node-pty")

/** The command at a terminal. */
export interface AtTerminal {
  readonly write: (keys: string) => void
  /** All that was written to it, control sequences and all. */
  readonly output: () => string
  /** Lines that stay, then each state of the line that changes: what stood there before it was taken back. */
  readonly seen: () => { readonly lines: ReadonlyArray<string>; readonly live: ReadonlyArray<string> }
  /** Resolves once the output matches, fails when the process ends first. */
  readonly until: (pattern: RegExp) => Promise<void>
  /** Closes the terminal, as a window is closed, or an ssh session breaks. */
  readonly hangUp: () => void
  readonly status: Promise<number>
}

/** What the command is given. */
export interface Options {
  /** Another program than the command. */
  readonly program?: string
  readonly columns?: number
  readonly env?: Record<string, string>
}

const erase = "\r\u001b[2K"

/** Starts it. The terminal is for standard input, stdout and stderr alike. */
export const start = (args: ReadonlyArray<string>, { columns = 80, env = {}, program }: Options = {}): AtTerminal => {
  const child = pty.spawn(program ?? process.execPath, [...(program === undefined ? [bin] : []), ...args], {
    cols: columns,
    rows: 24,
    cwd: root,
    env: { TERM: "xterm-256color", HOME: "/nowhere", NODE_COMPILE_CACHE: compileCache, AWS_EC2_METADATA_DISABLED: "true", ...env }
  })
  let output = ""
  const watchers = new Set<() => void>()
  child.onData((data) => {
    output += data
    for (const watcher of watchers) watcher()
  })
  const status = new Promise<number>((resolve) => child.onExit(({ exitCode }) => resolve(exitCode)))
  return {
    write: (keys) => child.write(keys),
    output: () => output,
    seen: () => {
      const rows = output.split("\r\n").map((row) => row.split(erase))
      return {
        lines: rows.slice(0, -1).map((states) => states.at(-1) ?? ""),
        live: rows.flatMap((states) => states.slice(0, -1)).filter((state) => state !== "")
      }
    },
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!pattern.test(output)) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
        void status.then((code) => reject(new Error(`ended with ${code} before ${pattern}: ${output}`)))
      }),
    hangUp: () => {
      // of its Unix kind; its types do not say
      if (!("destroy" in child && typeof child.destroy === "function")) throw new Error("this terminal cannot hang up")
      child.destroy()
    },
    status
  }
}
