/** Calls without Effect on a fake endpoint, and what of stamped audio has come there. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as FakeTransport from "../../src/FakeTransport.ts"
import type * as FluxSettings from "../../src/FluxSettings.ts"
import * as PromiseTranscriber from "../../src/PromiseTranscriber.ts"
import type { Range } from "../../src/simulator/Ledger.ts"
import * as Script from "../../src/simulator/Script.ts"

/** Frees all when it is disposed of. */
export interface Calls extends AsyncDisposable {
  readonly transcriber: PromiseTranscriber.PromiseTranscriber
  /** The stamped samples that came, over all sessions. */
  readonly heard: () => Promise<ReadonlyArray<Range>>
}

export const open = async (settings: FluxSettings.SettingsPatch = {}, options: FakeTransport.Options = {}): Promise<Calls> => {
  const scope = Scope.makeUnsafe()
  const layer = FakeTransport.layer({ script: Script.placeholders, ...options })
  const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  const transcriber = PromiseTranscriber.createTranscriber({ transport: Layer.succeedContext(context), settings })
  return {
    transcriber,
    heard: async () => {
      const records = await Effect.runPromise(Context.get(context, FakeTransport.FakeTransport).ledger)
      return records.flatMap(({ received }) => received.stamped)
    },
    [Symbol.asyncDispose]: async () => {
      await transcriber.close()
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
}
