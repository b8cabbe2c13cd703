/** What the roles of this machine say: asked once more, by the SDK's own providers, where its chain has kept their words to itself. */
import { fromHttp } from "@aws-sdk/credential-provider-http"
import { fromInstanceMetadata } from "@smithy/credential-provider-imds"
import * as words from "./words.ts"

/** What the container's role says. */
export const container = (): Promise<string> => answerOf(() => fromHttp({ maxRetries: 0 })())

/** What the instance's role says. Takes two seconds where nobody answers. */
export const instance = (): Promise<string> => answerOf(() => fromInstanceMetadata({ maxRetries: 0 })())

const answerOf = async (ask: () => Promise<unknown>): Promise<string> => {
  try {
    await ask()
    return words.answersNow
  } catch (error) {
    return error instanceof Error ? words.ofError(error) : "unknown failure"
  }
}
