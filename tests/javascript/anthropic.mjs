// Has a tool run twice by the tool runner, and prints what came back, one JSON object.
// node anthropic.mjs BASE_URL KEY MODEL
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const said = { calls: [] };

const weather = betaTool({
  name: "get_weather",
  description: "Get the weather.",
  inputSchema: { type: "object", properties: { unit: { type: "string" } } },
  run: (input) => {
    said.calls.push(input);
    return "21 degrees";
  },
});

const final = await client.beta.messages.toolRunner({
  model,
  max_tokens: 150,
  system: "Be brief.",
  messages: [{ role: "user", content: "Hello, world!" }],
  tools: [weather],
});
said.text = final.content[0].text;
said.stop = final.stop_reason;

console.log(JSON.stringify(said));
