// Calls Aurora as an application would and prints what came back, one JSON object.
// node client.mjs BASE_URL KEY MODEL
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const messages = [{ role: "user", content: "Hello, world!" }];
const said = {};

said.models = (await client.models.list()).data.map((card) => card.id);

const chat = await client.chat.completions.create({ model, messages, max_tokens: 8 });
said.chat = chat.choices[0].message.content;

const chunks = await client.chat.completions.create({ model, messages, max_tokens: 8, stream: true });
said.chatStream = "";
for await (const chunk of chunks) said.chatStream += chunk.choices[0]?.delta?.content ?? "";

const response = await client.responses.create({ model, input: "Hello, world!", max_output_tokens: 8 });
said.response = response.output_text;

const events = [];
const stream = client.responses.stream({ model, input: "Hello, world!", max_output_tokens: 8 });
stream.on("event", (event) => events.push(event.type));
said.responseStream = (await stream.finalResponse()).output_text;
said.first = events[0];
said.last = events.at(-1);

try {
  await client.chat.completions.create({ model: "nope", messages });
} catch (error) {
  said.error = [error instanceof OpenAI.NotFoundError, error.status, error.code];
}

console.log(JSON.stringify(said));
