/** The processes of a benchmark. */
import { type ChildProcess, fork } from "node:child_process"
import * as Schema from "effect/Schema"
import * as questions from "./questions.ts"

/** Runs a file of this folder's parent, by its path from there. */
export const start = (file: string, args: ReadonlyArray<string>, execArgv: ReadonlyArray<string> = []): ChildProcess =>
  fork(new URL(`../${file}`, import.meta.url), args, { execArgv: [...execArgv], serialization: "advanced" })

/** A server under load. */
export interface Server extends questions.Listening {
  readonly usage: () => Promise<questions.Usage>
  readonly records: () => Promise<questions.Records>
  readonly stop: () => void
}

/** Starts one; `args` as in `server.ts`. Questions are answered one at a time, in order. */
export const startServer = async (args: ReadonlyArray<string>, execArgv: ReadonlyArray<string> = []): Promise<Server> => {
  const child = start("support/server.ts", args, execArgv)
  const hear = <A>(schema: Schema.Decoder<A>): Promise<A> =>
    new Promise((resolve, reject) => {
      const exited = (): void => reject(new Error("the server has stopped"))
      child.once("exit", exited)
      child.once("message", (message) => {
        child.off("exit", exited)
        resolve(Schema.decodeUnknownSync(schema)(message))
      })
    })
  let last: Promise<unknown> = Promise.resolve()
  const ask = <A>(question: questions.Question, schema: Schema.Decoder<A>): Promise<A> => {
    const answer = last.then(() => {
      const heard = hear(schema)
      child.send(question)
      return heard
    })
    last = answer
    return answer
  }
  return {
    ...await hear(questions.Listening),
    usage: () => ask("usage", questions.Usage),
    records: () => ask("records", questions.Records),
    stop: () => child.disconnect()
  }
}
