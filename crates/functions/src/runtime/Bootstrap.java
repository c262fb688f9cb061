import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Proxy;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.net.Socket;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Runs a function of a java runtime over the Lambda Runtime API, with nothing but the JDK. */
public final class Bootstrap {
    private static final String CORE = "com.amazonaws.services.lambda.runtime.";

    private final Api api = new Api(System.getenv("AWS_LAMBDA_RUNTIME_API"));

    public static void main(String[] args) {
        System.setOut(new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8));
        try {
            new Bootstrap().run(args[0]);
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);
    private static final boolean STRUCTURED = "JSON".equalsIgnoreCase(System.getenv("AWS_LAMBDA_LOG_FORMAT"));

    /** Writes into the log. Filtering by levels is up to who reads it. */
    private static void log(String message, String level, String id) throws IOException {
        String line = (level == null ? "" : "[" + level + "] ") + message;
        if (STRUCTURED) {
            Map<String, Object> event = new LinkedHashMap<>();
            event.put("timestamp", TIME.format(Instant.now()));
            event.put("message", message);
            event.put("level", level == null ? "UNDEFINED" : level);
            event.put("AWSRequestId", id);
            line = Json.write(event) + "\n";
        }
        System.out.print(line);
        System.out.flush();
    }

    private void run(String name) throws Exception {
        Handler handler;
        try {
            handler = Handler.find(name, loader());
        } catch (Throwable thrown) {
            Throwable error = cause(thrown);
            error.printStackTrace(System.out);
            api.error("init/error", error);
            System.exit(1);
            return;
        }
        while (true) {
            Answer next = api.ask("GET", "invocation/next", Map.of(), new byte[0]);
            String id = next.headers.get("lambda-runtime-aws-request-id");
            String trace = next.headers.get("lambda-runtime-trace-id");
            if (trace != null) System.setProperty("com.amazonaws.xray.traceHeader", trace);
            byte[] result;
            try {
                result = handler.call(next, id);
            } catch (Throwable thrown) {
                Throwable error = cause(thrown);
                if (STRUCTURED) log(trace(error), "ERROR", id);
                else System.out.println(trace(error).replace("\n", "\r"));
                api.error("invocation/" + id + "/error", error);
                if (error instanceof VirtualMachineError) System.exit(1);
                continue;
            }
            api.ask("POST", "invocation/" + id + "/response", Map.of("Content-Type", "application/json"), result);
        }
    }

    /** The function's classes: its root, and the archives in lib and in layers. */
    private static ClassLoader loader() throws IOException {
        List<URL> places = new ArrayList<>();
        File root = new File(System.getenv("LAMBDA_TASK_ROOT"));
        places.add(root.toURI().toURL());
        for (File dir : List.of(root, new File(root, "lib"), new File(System.getProperty("headwater.layers", "/opt"), "java/lib"))) {
            File[] archives = dir.listFiles((at, file) -> file.endsWith(".jar"));
            if (archives == null) continue;
            Arrays.sort(archives);
            for (File archive : archives) places.add(archive.toURI().toURL());
        }
        ClassLoader loader = new URLClassLoader(places.toArray(new URL[0]), Bootstrap.class.getClassLoader());
        Thread.currentThread().setContextClassLoader(loader);
        return loader;
    }

    private static Throwable cause(Throwable thrown) {
        Throwable at = thrown;
        while ((at instanceof InvocationTargetException || at instanceof ExceptionInInitializerError) && at.getCause() != null) {
            at = at.getCause();
        }
        return at;
    }

    private static String trace(Throwable error) {
        StringBuilder text = new StringBuilder(String.valueOf(error.getMessage())).append(": ").append(error.getClass().getName());
        text.append('\n').append(error);
        for (StackTraceElement frame : error.getStackTrace()) text.append("\n\tat ").append(frame);
        return text.toString();
    }

    /** A fault of the function's configuration, by Lambda's name for it. */
    static final class Fault extends RuntimeException {
        final String type;

        Fault(String type, String message) {
            super(message);
            this.type = type;
        }
    }

    static final class Answer {
        final Map<String, String> headers;
        final byte[] body;

        Answer(Map<String, String> headers, byte[] body) {
            this.headers = headers;
            this.body = body;
        }
    }

    /** The Runtime API: one connection, every request in one write. */
    static final class Api {
        private final String address;
        private Socket socket;
        private InputStream in;

        Api(String address) {
            this.address = address;
        }

        Answer ask(String method, String path, Map<String, String> headers, byte[] body) throws IOException {
            if (socket == null) {
                int colon = address.lastIndexOf(':');
                socket = new Socket(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
                socket.setTcpNoDelay(true);
                in = new BufferedInputStream(socket.getInputStream(), 1 << 16);
            }
            ByteArrayOutputStream request = new ByteArrayOutputStream();
            StringBuilder head = new StringBuilder(method + " /2018-06-01/runtime/" + path + " HTTP/1.1\r\nHost: " + address + "\r\n");
            headers.forEach((name, value) -> head.append(name).append(": ").append(value).append("\r\n"));
            if (!method.equals("GET")) head.append("Content-Length: ").append(body.length).append("\r\n");
            request.write(head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1));
            request.write(body);
            request.writeTo(socket.getOutputStream());
            return read();
        }

        private Answer read() throws IOException {
            line();
            Map<String, String> headers = new HashMap<>();
            for (String line = line(); !line.isEmpty(); line = line()) {
                int colon = line.indexOf(':');
                headers.put(line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).trim());
            }
            return new Answer(headers, in.readNBytes(Integer.parseInt(headers.getOrDefault("content-length", "0"))));
        }

        private String line() throws IOException {
            ByteArrayOutputStream line = new ByteArrayOutputStream();
            for (int b = in.read(); b != '\n'; b = in.read()) {
                if (b < 0) throw new IOException("the Runtime API closed the connection");
                if (b != '\r') line.write(b);
            }
            return line.toString(StandardCharsets.ISO_8859_1);
        }

        void error(String path, Throwable error) throws IOException {
            String type = error instanceof Fault fault ? fault.type : error.getClass().getName();
            Map<String, Object> body = new LinkedHashMap<>();
            body.put("errorMessage", String.valueOf(error.getMessage()));
            body.put("errorType", type);
            List<String> frames = new ArrayList<>();
            for (StackTraceElement frame : error.getStackTrace()) {
                if (frame.getClassName().startsWith("Bootstrap") || frame.getClassName().startsWith("jdk.internal.reflect")) break;
                frames.add(frame.toString());
            }
            body.put("stackTrace", frames);
            ask("POST", path, Map.of("Content-Type", "application/json", "Lambda-Runtime-Function-Error-Type", type),
                    Json.write(body).getBytes(StandardCharsets.UTF_8));
        }
    }

    /** The method that is called for each invocation. */
    static final class Handler {
        private final Object target;
        private final Method method;
        private final boolean streams;
        private final ClassLoader loader;

        private Handler(Object target, Method method, boolean streams, ClassLoader loader) {
            this.target = target;
            this.method = method;
            this.streams = streams;
            this.loader = loader;
        }

        static Handler find(String name, ClassLoader loader) throws Exception {
            String[] parts = name.split("::", 2);
            Class<?> type;
            try {
                type = Class.forName(parts[0], true, loader);
            } catch (ClassNotFoundException missing) {
                throw new Fault("Runtime.ClassNotFound", "Class not found: " + parts[0]);
            }
            String wanted = parts.length > 1 ? parts[1] : "handleRequest";
            Method found = null;
            for (Method method : type.getMethods()) {
                if (!method.getName().equals(wanted) || method.isBridge() || method.isSynthetic()) continue;
                // Where there are several, that with a context, then that with more parameters.
                if (found == null || rank(method) > rank(found)) found = method;
            }
            if (found == null) throw new Fault("Runtime.MethodNotFound", "No public method named " + wanted + " in class " + parts[0]);
            found.setAccessible(true);
            Object target = Modifier.isStatic(found.getModifiers()) ? null : type.getDeclaredConstructor().newInstance();
            Class<?>[] takes = found.getParameterTypes();
            boolean streams = takes.length > 0 && takes[0] == InputStream.class;
            return new Handler(target, found, streams, loader);
        }

        private static int rank(Method method) {
            Class<?>[] takes = method.getParameterTypes();
            boolean context = takes.length > 0 && takes[takes.length - 1].getName().equals(CORE + "Context");
            return (context ? 100 : 0) + takes.length;
        }

        byte[] call(Answer next, String id) throws Exception {
            Type[] takes = method.getGenericParameterTypes();
            Object[] given = new Object[takes.length];
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            boolean used = false;
            for (int i = 0; i < takes.length; i++) {
                Class<?> raw = method.getParameterTypes()[i];
                if (raw.getName().equals(CORE + "Context")) given[i] = Context.of(raw, next, id, loader);
                else if (raw == InputStream.class) given[i] = new ByteArrayInputStream(next.body);
                else if (raw == OutputStream.class) given[i] = out;
                else if (!used) {
                    used = true;
                    given[i] = input(next.body, takes[i]);
                }
            }
            Object result = method.invoke(target, given);
            if (streams) return out.toByteArray();
            return Json.write(result).getBytes(StandardCharsets.UTF_8);
        }

        private static Object input(byte[] body, Type type) {
            try {
                return Json.to(Json.read(new String(body, StandardCharsets.UTF_8)), type);
            } catch (Fault fault) {
                throw fault;
            } catch (Exception error) {
                throw new Fault("Runtime.BadInput", "An error occurred during JSON parsing: " + error);
            }
        }
    }

    /** The interfaces that the function's own copy of lambda-java-core declares. */
    static final class Context {
        static Object of(Class<?> type, Answer next, String id, ClassLoader loader) throws ClassNotFoundException {
            Class<?> log = Class.forName(CORE + "LambdaLogger", true, loader);
            Object logger = Proxy.newProxyInstance(loader, new Class<?>[] {log}, (self, method, given) -> {
                if (!method.getName().equals("log")) return plain(self, method, given);
                if (given[0] instanceof byte[] bytes) {
                    // Bytes are written as they are.
                    System.out.write(bytes, 0, bytes.length);
                    System.out.flush();
                } else {
                    String level = given.length > 1 ? String.valueOf(given[1]) : null;
                    log(String.valueOf(given[0]), "UNDEFINED".equals(level) ? null : level, id);
                }
                return null;
            });
            long deadline = Long.parseLong(next.headers.get("lambda-runtime-deadline-ms"));
            return Proxy.newProxyInstance(loader, new Class<?>[] {type}, (self, method, given) -> switch (method.getName()) {
                case "getAwsRequestId" -> id;
                case "getLogGroupName" -> System.getenv("AWS_LAMBDA_LOG_GROUP_NAME");
                case "getLogStreamName" -> System.getenv("AWS_LAMBDA_LOG_STREAM_NAME");
                case "getFunctionName" -> System.getenv("AWS_LAMBDA_FUNCTION_NAME");
                case "getFunctionVersion" -> System.getenv("AWS_LAMBDA_FUNCTION_VERSION");
                case "getInvokedFunctionArn" -> next.headers.get("lambda-runtime-invoked-function-arn");
                case "getRemainingTimeInMillis" -> (int) (deadline - System.currentTimeMillis());
                case "getMemoryLimitInMB" -> Integer.parseInt(System.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
                case "getLogger" -> logger;
                default -> plain(self, method, given);
            });
        }

        private static Object plain(Object self, Method method, Object[] given) {
            return switch (method.getName()) {
                case "hashCode" -> System.identityHashCode(self);
                case "equals" -> self == given[0];
                case "toString" -> method.getDeclaringClass().getSimpleName();
                default -> null;
            };
        }
    }

    /** JSON, and the plain objects of handlers. */
    static final class Json {
        private final String text;
        private int at;

        private Json(String text) {
            this.text = text;
        }

        static Object read(String text) {
            Json json = new Json(text);
            Object value = json.value();
            json.space();
            if (json.at < text.length()) throw json.wrong();
            return value;
        }

        private IllegalArgumentException wrong() {
            return new IllegalArgumentException("unexpected text at " + at);
        }

        private void space() {
            while (at < text.length() && text.charAt(at) <= ' ') at++;
        }

        private boolean eat(char c) {
            space();
            if (at < text.length() && text.charAt(at) == c) {
                at++;
                return true;
            }
            return false;
        }

        private Object value() {
            space();
            if (at >= text.length()) throw wrong();
            switch (text.charAt(at)) {
                case '{': {
                    at++;
                    Map<String, Object> map = new LinkedHashMap<>();
                    if (eat('}')) return map;
                    do {
                        space();
                        String key = string();
                        if (!eat(':')) throw wrong();
                        map.put(key, value());
                    } while (eat(','));
                    if (!eat('}')) throw wrong();
                    return map;
                }
                case '[': {
                    at++;
                    List<Object> list = new ArrayList<>();
                    if (eat(']')) return list;
                    do list.add(value()); while (eat(','));
                    if (!eat(']')) throw wrong();
                    return list;
                }
                case '"':
                    return string();
                default:
                    for (Object[] word : new Object[][] {{"true", true}, {"false", false}, {"null", null}}) {
                        if (text.startsWith((String) word[0], at)) {
                            at += ((String) word[0]).length();
                            return word[1];
                        }
                    }
                    return number();
            }
        }

        private Object number() {
            int start = at;
            while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) at++;
            String digits = text.substring(start, at);
            if (digits.isEmpty()) throw wrong();
            if (digits.chars().anyMatch(c -> c == '.' || c == 'e' || c == 'E')) return Double.valueOf(digits);
            try {
                long number = Long.parseLong(digits);
                if (number == (int) number) return (int) number;
                return number;
            } catch (NumberFormatException large) {
                return new java.math.BigInteger(digits);
            }
        }

        private String string() {
            if (!eat('"')) throw wrong();
            StringBuilder out = new StringBuilder();
            while (true) {
                if (at >= text.length()) throw wrong();
                char c = text.charAt(at++);
                if (c == '"') return out.toString();
                if (c != '\\') {
                    out.append(c);
                    continue;
                }
                char escaped = text.charAt(at++);
                switch (escaped) {
                    case 'n' -> out.append('\n');
                    case 't' -> out.append('\t');
                    case 'r' -> out.append('\r');
                    case 'b' -> out.append('\b');
                    case 'f' -> out.append('\f');
                    case 'u' -> {
                        out.append((char) Integer.parseInt(text.substring(at, at + 4), 16));
                        at += 4;
                    }
                    default -> out.append(escaped);
                }
            }
        }

        /** A value as the type that a handler takes. */
        static Object to(Object value, Type type) throws Exception {
            Class<?> raw = type instanceof Class<?> c ? c : type instanceof ParameterizedType p ? (Class<?>) p.getRawType() : Object.class;
            if (value == null || raw == Object.class) return value;
            if (raw == String.class && value instanceof String) return value;
            if (raw == boolean.class || raw == Boolean.class) return value;
            if (value instanceof Number n) {
                if (raw == int.class || raw == Integer.class) return n.intValue();
                if (raw == long.class || raw == Long.class) return n.longValue();
                if (raw == double.class || raw == Double.class) return n.doubleValue();
                if (raw == float.class || raw == Float.class) return n.floatValue();
                if (raw == short.class || raw == Short.class) return n.shortValue();
                if (raw == BigDecimal.class) return new BigDecimal(n.toString());
                if (raw.isInstance(n)) return n;
            }
            Type[] inner = type instanceof ParameterizedType p ? p.getActualTypeArguments() : new Type[0];
            if (value instanceof List<?> list && raw.isArray()) {
                Object array = Array.newInstance(raw.getComponentType(), list.size());
                for (int i = 0; i < list.size(); i++) Array.set(array, i, to(list.get(i), raw.getComponentType()));
                return array;
            }
            if (value instanceof List<?> list && raw.isAssignableFrom(ArrayList.class)) {
                List<Object> out = new ArrayList<>();
                for (Object item : list) out.add(to(item, inner.length == 1 ? inner[0] : Object.class));
                return out;
            }
            if (value instanceof Map<?, ?> map && raw.isAssignableFrom(LinkedHashMap.class)) {
                Map<Object, Object> out = new LinkedHashMap<>();
                for (Map.Entry<?, ?> e : map.entrySet()) out.put(e.getKey(), to(e.getValue(), inner.length == 2 ? inner[1] : Object.class));
                return out;
            }
            if (value instanceof String name && raw.isEnum()) {
                for (Object constant : raw.getEnumConstants()) if (((Enum<?>) constant).name().equals(name)) return constant;
            }
            if (value instanceof Map<?, ?> map) return bean(map, raw);
            throw new Fault("Runtime.BadInput", "a " + value.getClass().getSimpleName() + " cannot become a " + raw.getName());
        }

        private static Object bean(Map<?, ?> map, Class<?> raw) throws Exception {
            var empty = raw.getDeclaredConstructor();
            empty.setAccessible(true);
            Object bean = empty.newInstance();
            Map<String, Object> given = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
            map.forEach((key, value) -> given.put(String.valueOf(key), value));
            for (Method method : raw.getMethods()) {
                if (!method.getName().startsWith("set") || method.getName().length() < 4 || method.getParameterCount() != 1) continue;
                String name = method.getName().substring(3);
                if (!given.containsKey(name)) continue;
                method.setAccessible(true);
                method.invoke(bean, to(given.get(name), method.getGenericParameterTypes()[0]));
            }
            for (var field : raw.getFields()) {
                if (Modifier.isFinal(field.getModifiers()) || !given.containsKey(field.getName())) continue;
                field.set(bean, to(given.get(field.getName()), field.getGenericType()));
            }
            return bean;
        }

        static String write(Object value) throws IOException {
            StringBuilder out = new StringBuilder();
            try {
                write(out, value);
            } catch (ReflectiveOperationException error) {
                throw new Fault("Runtime.BadOutput", "An error occurred during JSON serialization of response: " + error);
            }
            return out.toString();
        }

        private static void write(StringBuilder out, Object value) throws ReflectiveOperationException {
            if (value == null || value instanceof Boolean || value instanceof Number) {
                out.append(value);
            } else if (value instanceof CharSequence || value instanceof Character || value instanceof Enum<?>) {
                quote(out, value.toString());
            } else if (value instanceof Map<?, ?> map) {
                char before = '{';
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    quote(out.append(before), String.valueOf(entry.getKey()));
                    write(out.append(':'), entry.getValue());
                    before = ',';
                }
                out.append(map.isEmpty() ? "{}" : "}");
            } else if (value instanceof Collection<?> list) {
                char before = '[';
                for (Object item : list) {
                    write(out.append(before), item);
                    before = ',';
                }
                out.append(list.isEmpty() ? "[]" : "]");
            } else if (value.getClass().isArray()) {
                List<Object> list = new ArrayList<>();
                for (int i = 0; i < Array.getLength(value); i++) list.add(Array.get(value, i));
                write(out, list);
            } else if (value.getClass().getName().startsWith("java.")) {
                quote(out, value.toString());
            } else {
                write(out, properties(value));
            }
        }

        private static Map<String, Object> properties(Object bean) throws ReflectiveOperationException {
            Map<String, Object> map = new LinkedHashMap<>();
            if (bean.getClass().isRecord()) {
                for (var part : bean.getClass().getRecordComponents()) {
                    part.getAccessor().setAccessible(true);
                    map.put(part.getName(), part.getAccessor().invoke(bean));
                }
                return map;
            }
            for (var field : bean.getClass().getFields()) {
                if (!Modifier.isStatic(field.getModifiers())) map.put(field.getName(), field.get(bean));
            }
            Map<String, Object> read = new TreeMap<>();
            for (Method method : bean.getClass().getMethods()) {
                if (method.getParameterCount() > 0 || method.getDeclaringClass() == Object.class || Modifier.isStatic(method.getModifiers())) continue;
                String name = method.getName();
                int cut = name.startsWith("get") && name.length() > 3 ? 3 : name.startsWith("is") && name.length() > 2 ? 2 : 0;
                if (cut == 0) continue;
                method.setAccessible(true);
                read.put(Character.toLowerCase(name.charAt(cut)) + name.substring(cut + 1), method.invoke(bean));
            }
            map.putAll(read);
            return map;
        }

        private static void quote(StringBuilder out, String text) {
            out.append('"');
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                switch (c) {
                    case '"' -> out.append("\\\"");
                    case '\\' -> out.append("\\\\");
                    case '\n' -> out.append("\\n");
                    case '\r' -> out.append("\\r");
                    case '\t' -> out.append("\\t");
                    default -> {
                        if (c < ' ') out.append(String.format("\\u%04x", (int) c));
                        else out.append(c);
                    }
                }
            }
            out.append('"');
        }
    }
}
