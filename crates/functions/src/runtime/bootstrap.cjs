'use strict';
// Runs a function of a nodejs runtime over the Lambda Runtime API. Plain JavaScript, no packages, Node.js 18 or newer.

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const util = require('node:util');
const { Module } = require('node:module');
const { Writable } = require('node:stream');
const { pathToFileURL } = require('node:url');

const API = '/2018-06-01/runtime/';
const [HOST, PORT] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const MAJOR = Number(/nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV || '')?.[1] ?? 20);
const STREAMING = Symbol('streams its response');

let requestId;
/** Whether a response has begun and not ended, and how it ends with an error. */
let streamed = () => undefined;
let endStream;

// --- The Runtime API: one connection, every request in one write.

let socket;
let waiting = [];
let buffered = Buffer.alloc(0);

function connection() {
  if (socket) return socket;
  socket = net.connect({ host: HOST, port: Number(PORT), noDelay: true });
  buffered = Buffer.alloc(0);
  const mine = socket;
  mine.on('data', (piece) => {
    buffered = buffered.length ? Buffer.concat([buffered, piece]) : piece;
    read();
  });
  const lost = (error) => {
    if (socket !== mine) return;
    socket = undefined;
    const given = waiting;
    waiting = [];
    given.forEach(({ reject }) => reject(error || new Error('the Runtime API closed the connection')));
  };
  mine.on('error', lost).on('close', () => lost());
  return mine;
}

function read() {
  for (;;) {
    const end = buffered.indexOf('\r\n\r\n');
    if (end < 0) return;
    const [status, ...lines] = buffered.toString('latin1', 0, end).split('\r\n');
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const size = end + 4 + Number(headers['content-length'] || 0);
    if (buffered.length < size) {
      // A large body comes in many pieces: they are joined once.
      if (buffered.length < size / 2 && size > 1 << 16) return gather(size);
      return;
    }
    const body = buffered.subarray(end + 4, size);
    buffered = buffered.subarray(size);
    const request = waiting.shift();
    if (!waiting.length) socket.unref();
    const code = Number(status.split(' ')[1]);
    request.resolve({ code, headers, body: Buffer.from(body) });
  }
}

function gather(size) {
  const whole = Buffer.allocUnsafe(size);
  let have = buffered.copy(whole);
  const usual = socket.listeners('data')[0];
  socket.off('data', usual);
  const mine = (piece) => {
    const used = piece.copy(whole, have, 0, Math.min(piece.length, size - have));
    have += used;
    if (have < size) return;
    socket.off('data', mine).on('data', usual);
    buffered = used < piece.length ? Buffer.concat([whole, piece.subarray(used)]) : whole;
    read();
  };
  socket.on('data', mine);
}

function head(method, target, headers) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${API}${target} HTTP/1.1\r\nHost: ${HOST}:${PORT}\r\n${lines.join('')}\r\n`;
}

function ask(method, target, headers = {}, body = '') {
  return new Promise((resolve, reject) => {
    const to = connection();
    waiting.push({ resolve, reject });
    // While an answer is due the process stays; in between the function alone decides.
    to.ref();
    const text = method === 'GET' ? '' : body;
    const length = method === 'GET' ? {} : { 'Content-Length': Buffer.byteLength(text) };
    const start = head(method, target, { ...headers, ...length });
    if (typeof text === 'string') to.write(start + text);
    else to.write(Buffer.concat([Buffer.from(start), text]));
  });
}

// --- What is written, as Lambda writes it: time, request id, level, message; one event is one line.

// A log in JSON is filtered by who reads it.

const STRUCTURED = process.env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';

function write(level, ...parts) {
  const line = STRUCTURED
    ? structured(level, parts)
    : `${new Date().toISOString()}\t${requestId ?? 'undefined'}\t${level}\t${util.format(...parts)}`;
  process.stdout.write(line.replace(/\n/g, '\r') + '\n');
}

/** One part stays the value it is; of several, the first error but for the first part is told beside them. */
function structured(level, parts) {
  const line = { timestamp: new Date().toISOString(), level, requestId };
  if (parts.length === 1) {
    try {
      return JSON.stringify({ ...line, message: parts[0] }, (_, value) => (value instanceof Error ? entry(value) : value));
    } catch {
      // It refers to itself, or holds what JSON has not.
    }
  }
  const error = parts.slice(1).find((part) => part instanceof Error);
  return JSON.stringify({ ...line, message: util.format(...parts), ...(error && told(error)) });
}

const told = (error) => ({
  errorType: error.constructor?.name ?? 'UnknownError',
  errorMessage: error.message,
  stackTrace: String(error.stack).split('\n'),
});
const entry = (error) => ({ ...told(error), ...error });

function writeError(kind, error) {
  if (STRUCTURED) write('ERROR', error instanceof Error ? error : new Error(String(error)));
  else write('ERROR', `${kind} \t${logged(error)}`);
}

const METHODS = { log: 'INFO', info: 'INFO', trace: 'TRACE', debug: 'DEBUG', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };
for (const [name, level] of Object.entries(METHODS)) {
  console[name] = (...parts) => write(level, ...parts);
}

// --- Errors.

function named(name, message, extra = {}) {
  const error = new Error(message);
  error.name = name;
  return Object.assign(error, extra);
}

function shown(error) {
  if (util.types.isNativeError(error) || (error && error.name && error.message !== undefined && error.stack)) {
    return {
      errorType: String(error.name),
      errorMessage: String(error.message),
      trace: String(error.stack).split('\n'),
    };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

/** The error with its own properties, as the log shows it. */
function logged(error) {
  const { errorType, errorMessage, trace } = shown(error);
  const own = error && typeof error === 'object' ? { ...error } : {};
  delete own.name;
  const text = { errorType, errorMessage, ...own, stack: trace };
  try {
    return JSON.stringify(text);
  } catch {
    return JSON.stringify({ errorType, errorMessage, stack: trace });
  }
}

function tell(target, error) {
  const { errorType, errorMessage, trace } = shown(error);
  const headers = { 'Content-Type': 'application/json', 'Lambda-Runtime-Function-Error-Type': asHeader(errorType) };
  return ask('POST', target, headers, JSON.stringify({ errorType, errorMessage, trace }));
}

const asHeader = (text) => text.replace(/[^\x20-\x7e]/g, '?');

function fatal(kind, error, code) {
  writeError(kind, error);
  const target = requestId === undefined ? 'init/error' : `invocation/${requestId}/error`;
  const told = streamed() ? endStream(error) : tell(target, error);
  told.finally(() => process.exit(code));
}

process.on('uncaughtException', (error) => fatal('Uncaught Exception', error, 129));
process.on('unhandledRejection', (reason, promise) => {
  const message = util.types.isNativeError(reason) ? `${reason.name}: ${reason.message}` : util.inspect(reason);
  const error = named('Runtime.UnhandledPromiseRejection', message, { reason: shown(reason), promise: {} });
  if (util.types.isNativeError(reason)) error.stack = `Runtime.UnhandledPromiseRejection: ${reason.stack}`;
  void promise;
  fatal('Unhandled Promise Rejection', error, 128);
});

// --- aws-sdk for JavaScript v2 knows no AWS_ENDPOINT_URL: it is told when the function loads it.

const SDK2 = /[\\/]aws-sdk[\\/]lib[\\/](core|node_loader)\.js$/;
const load = Module._extensions['.js'];
Module._extensions['.js'] = function (module, filename) {
  const result = load.apply(this, arguments);
  if (process.env.AWS_ENDPOINT_URL && SDK2.test(filename)) {
    // The loader makes the configuration anew, of what `core` holds.
    const sdk = require(path.join(path.dirname(filename), 'core.js'));
    sdk.config?.update({ endpoint: process.env.AWS_ENDPOINT_URL, s3ForcePathStyle: true });
  }
  return result;
};

// --- The handler.

function streamify(handler) {
  handler[STREAMING] = true;
  return handler;
}

globalThis.awslambda = {
  streamifyResponse: streamify,
  HttpResponseStream: {
    /** What is written follows a JSON text of status and headers, and eight zero bytes. */
    from(stream, metadata) {
      stream.setContentType('application/vnd.awslambda.http-integration-response');
      stream.write(JSON.stringify(metadata));
      stream.write(Buffer.alloc(8));
      return stream;
    },
  },
};

function isModule(file) {
  if (file.endsWith('.mjs')) return true;
  if (!file.endsWith('.js')) return false;
  for (let dir = path.dirname(file); ; dir = path.dirname(dir)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (error instanceof SyntaxError) return false;
    }
    if (dir === path.dirname(dir) || path.basename(dir) === 'node_modules') return false;
  }
}

async function loadModule(root, module) {
  const whole = path.resolve(root, module);
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    const file = whole + extension;
    if (!fs.existsSync(file) || fs.statSync(file).isDirectory()) continue;
    return isModule(file) ? import(pathToFileURL(file)) : require(file);
  }
  const found = require.resolve(module, { paths: [root, path.dirname(whole)] });
  return isModule(found) ? import(pathToFileURL(found)) : require(found);
}

async function find(name) {
  const base = path.basename(name);
  const match = /^([^.]*)\.(.+)$/.exec(base);
  if (!match || name.includes('..')) {
    throw named('Runtime.MalformedHandlerName', `Bad handler '${name}': FILE.FUNCTION is needed`);
  }
  const module = path.join(path.dirname(name), match[1]);
  let loaded;
  try {
    loaded = await loadModule(process.env.LAMBDA_TASK_ROOT, module);
  } catch (error) {
    if (error instanceof SyntaxError) throw Object.assign(error, { name: 'Runtime.UserCodeSyntaxError' });
    if (['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'].includes(error?.code)) {
      throw Object.assign(error, { name: 'Runtime.ImportModuleError', message: `Error: ${error.message}` });
    }
    throw error;
  }
  const inside = (object) => match[2].split('.').reduce((at, key) => at?.[key], object);
  const handler = inside(loaded) ?? inside(loaded?.default);
  if (handler === undefined) {
    throw named('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  }
  if (typeof handler !== 'function') throw named('Runtime.HandlerNotFound', `${name} is not a function`);
  if (MAJOR >= 24 && handler.length >= 3 && !handler[STREAMING]) {
    throw named('Runtime.CallbackHandlerDeprecated', 'Handlers with a callback are not called from nodejs24.x on');
  }
  return handler;
}

function contextOf(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const parse = (name) => (headers[name] ? JSON.parse(Buffer.from(headers[name], 'latin1').toString('utf8')) : undefined);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parse('lambda-runtime-client-context'),
    identity: parse('lambda-runtime-cognito-identity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

/** Calls the handler; settles with what it answers, by whichever of its ways. */
function call(handler, event, context) {
  return new Promise((resolve, reject) => {
    let done = false;
    const settle = (how, value, now) => {
      if (done) return;
      done = true;
      process.removeListener('beforeExit', nothing);
      if (now || !context.callbackWaitsForEmptyEventLoop) setImmediate(how, value);
      else process.once('beforeExit', () => how(value));
    };
    // The function has nothing left to do and has not answered.
    const nothing = () => settle(asynchronous ? (v) => reject(v) : resolve, asynchronous ? unanswered() : null, true);
    let asynchronous = false;
    const callback = (error, value) => (error ? settle(reject, error, false) : settle(resolve, value, false));
    context.succeed = (value) => callback(null, value);
    context.fail = (error) => callback(error ?? 'handled');
    context.done = callback;
    process.on('beforeExit', nothing);
    try {
      const result = handler(event, context, callback);
      if (result && typeof result.then === 'function') {
        asynchronous = true;
        result.then((value) => settle(resolve, value, true), (error) => settle(reject, error, true));
      } else if (MAJOR >= 24 && !done) {
        settle(resolve, result, true);
      }
    } catch (error) {
      settle(reject, error, true);
    }
  });
}

const unanswered = () => named('Runtime.NodeJsExit', 'The handler returned a promise that nothing can settle any more');

/** Calls a handler that writes its answer; each piece leaves as it comes. */
async function stream(handler, event, context) {
  let type = 'application/octet-stream';
  let begun = false;
  let answered;
  const begin = (to) => {
    begun = true;
    answered = new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    answered.catch(() => {});
    to.ref();
    to.write(head('POST', `invocation/${requestId}/response`, {
      'Content-Type': type,
      'Lambda-Runtime-Function-Response-Mode': 'streaming',
      'Transfer-Encoding': 'chunked',
      Trailer: 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body',
    }));
  };
  const out = new Writable({
    write(piece, encoding, next) {
      const to = connection();
      if (!begun) begin(to);
      if (!piece.length) return next();
      const whole = Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
      if (to.write(whole)) next();
      else to.once('drain', next);
    },
    final(next) {
      const to = connection();
      if (!begun) begin(to);
      to.write('0\r\n\r\n', () => next());
    },
  });
  out.setContentType = (given) => { type = given; };
  const finished = new Promise((resolve, reject) => out.once('finish', resolve).once('error', reject));
  finished.catch(() => {});
  const closed = new Promise((resolve) => out.once('close', resolve));
  /** What is on its way cannot be taken back: an error follows behind it. */
  endStream = async (error) => {
    endStream = undefined;
    if (!out.destroyed) out.destroy();
    await closed;
    const { errorType, errorMessage, trace } = shown(error);
    const body = Buffer.from(JSON.stringify({ errorType, errorMessage, trace })).toString('base64');
    const type = `Lambda-Runtime-Function-Error-Type: ${asHeader(errorType)}\r\n`;
    connection().write(`0\r\n${type}Lambda-Runtime-Function-Error-Body: ${body}\r\n\r\n`);
    await answered;
  };
  const midstream = () => begun && !out.writableFinished && endStream;
  streamed = midstream;
  try {
    await handler(event, out, context);
    if (!out.writableEnded) throw named('Runtime.StreamNotEnded', 'The handler returned before it ended its response stream');
    await finished;
    await answered;
  } catch (error) {
    if (!midstream()) throw error;
    writeError('Invoke Error', error);
    await endStream(error);
  } finally {
    streamed = () => undefined;
  }
}

async function respond(handler, event, context) {
  if (handler[STREAMING]) return stream(handler, event, context);
  const result = await call(handler, event, context);
  let text;
  try {
    text = JSON.stringify(result === undefined ? null : result);
  } catch {
    throw named('Runtime.UnserializableResponse', 'The response of the handler cannot be written as JSON');
  }
  await ask('POST', `invocation/${requestId}/response`, { 'Content-Type': 'application/json' }, text ?? 'null');
}

async function main() {
  let handler;
  try {
    handler = await find(process.argv[2]);
  } catch (error) {
    writeError('Uncaught Exception', error);
    await tell('init/error', error);
    process.exit(1);
  }
  for (;;) {
    const { code, headers, body } = await ask('GET', 'invocation/next');
    if (code !== 200) process.exit(1);
    requestId = headers['lambda-runtime-aws-request-id'];
    const trace = headers['lambda-runtime-trace-id'];
    if (trace) process.env._X_AMZN_TRACE_ID = trace;
    else delete process.env._X_AMZN_TRACE_ID;
    try {
      const context = contextOf(headers);
      await respond(handler, JSON.parse(body.toString('utf8')), context);
    } catch (error) {
      writeError('Invoke Error', error);
      await tell(`invocation/${requestId}/error`, error);
    }
  }
}

main().catch((error) => {
  writeError('Runtime Error', error);
  process.exit(1);
});
