/** An agent that drafts its reply while the caller may still go on. */
import { Cause, Console, Effect, Stream } from "effect"
import { EagerReply, Transcriber } from "../src/index.ts"

/** Stand-ins for a language model and a voice, which take their time, and may be interrupted. */
const askModel = (question: string) => Effect.delay(Effect.succeed(`You asked: ${question}`), "700 millis")
const say = (text: string) =>
  Console.log(`agent: ${text}`).pipe(Effect.andThen(Effect.sleep(300 * text.split(" ").length)))

export const talk = (microphone: Stream.Stream<Uint8Array>) =>
  microphone.pipe(
    Transcriber.transcribe({ settings: { eagerEotThreshold: 0.4 } }),
    Stream.tap((event) => event.type === "EndOfTurn" ? Console.log(`caller: ${event.transcript}`) : Effect.void),
    EagerReply.reply({
      draft: ({ transcript }) => askModel(transcript),
      speak: (text) => say(text)
    }),
    Stream.runForEach((reply) => {
      if (reply.type === "Failed") return Console.error(Cause.pretty(reply.cause))
      if (reply.type === "Spoken") return Console.log(`  spoken ${reply.gained} ms earlier`)
      return reply.type === "Drafted" ? Effect.void : Console.log(`  ${reply.type.toLowerCase()}`)
    })
  )
