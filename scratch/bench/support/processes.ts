/** The processes of a benchmark. */
import { type ChildProcess, fork } from "node:child_process"
import * as Schema from "effect/Schema"
import * as questions from "./questions.ts"

/** Runs a file of this folder's parent, by its path from there. */
const start = (file: string, args: ReadonlyArray<string>, execArgv: ReadonlyArray<string> = []): ChildProcess =>
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

/** What a load tells when the measured time begins, and when it ends. */
const Moment = Schema.Literals(["begin", "end"])

/** What came of a load: undefined where it stopped before it was done. */
export interface Loaded<A> {
  readonly outcome: A | undefined
  /** What the server had used when the measured time began, and when it ended. */
  readonly before: questions.Usage | undefined
  readonly after: questions.Usage | undefined
}

/** Runs a load against a server, in a process of its own, at most so many seconds. */
export const runLoad = async <A>(options: {
  readonly server: Server
  readonly file: string
  readonly job: object
  readonly outcome: Schema.Decoder<A>
  readonly execArgv?: ReadonlyArray<string>
  readonly boundSeconds?: number
}): Promise<Loaded<A>> => {
  const child = start(options.file, [JSON.stringify(options.job)], options.execArgv)
  const { boundSeconds } = options
  const tooLong = boundSeconds === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), boundSeconds * 1000)
  const read = Schema.decodeUnknownSync(Schema.Union([Moment, options.outcome]))
  const isMoment = Schema.is(Moment)
  const usages: Array<Promise<questions.Usage>> = []
  const outcome = await new Promise<A | undefined>((resolve) => {
    child.on("message", (message) => {
      const said = read(message)
      if (isMoment(said)) usages.push(options.server.usage())
      else resolve(said)
    })
    child.on("exit", () => resolve(undefined))
  })
  clearTimeout(tooLong)
  const [before, after] = await Promise.all(usages)
  return { outcome, before, after }
}
