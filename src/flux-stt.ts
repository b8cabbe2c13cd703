#!/usr/bin/env node
/**
 * Starts the built command fast: its code, and what it uses of its dependencies, lies in few files (see rolldown.config.js),
 * and is compiled once. Node keeps what it compiled in the system's folder for temporary files, where it may write there.
 */
import { enableCompileCache } from "node:module"

enableCompileCache()
await import(new URL("command/bin.js", import.meta.url).href)
