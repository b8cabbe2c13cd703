/** (c): what one writes with the AWS SDK alone, on its standard event-stream middleware. */
import { InvokeCommand, makeClient, type Part } from "../../../test/support/sdkClient.ts"
import type { Call, Caller, MakeClient } from "./client.ts"
import { closeStream, hear, query } from "./flux.ts"

const nothing = (): void => undefined

export const sdk: MakeClient = async ({ ca, url }) => {
  const client = makeClient({ url, ca, credentials: { accessKeyId: "any", secretAccessKey: "any" } })
  const call = (caller: Caller): Call => {
    const waiting: Array<Uint8Array> = []
    let finished = false
    let wake = nothing
    const drained = Promise.withResolvers<void>()
    const body = async function*(): AsyncGenerator<Part> {
      while (true) {
        const next = waiting.shift()
        if (next !== undefined) yield { PayloadPart: { Bytes: next, DataType: "BINARY" } }
        else if (finished) break
        else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
      yield { PayloadPart: { Bytes: new TextEncoder().encode(closeStream), DataType: "UTF8" } }
      await drained.promise
    }
    const run = async (): Promise<void> => {
      try {
        const { Events } = await client.send(
          new InvokeCommand({ EndpointName: "my-flux", ModelInvocationPath: "v2/listen", ModelQueryString: query, Events: body() })
        )
        const decoder = new TextDecoder()
        for await (const { PayloadPart } of Events ?? []) hear(decoder.decode(PayloadPart?.Bytes), caller)
      } finally {
        drained.resolve()
      }
    }
    const over = run()
    return {
      push: (chunk) => {
        waiting.push(chunk)
        wake()
      },
      finish: () => {
        finished = true
        wake()
        return over
      },
      failed: new Promise((_, reject) => over.catch(reject))
    }
  }
  return { call }
}
