/* Hostile ONNX files: each is refused, or read, by a process of its own, in 2 s of processor time
 * and 300 MB. */
#define _GNU_SOURCE
#include "../test.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "onnx/onnx.h"

/* ---- messages of the format, by the numbers of their fields ---------------------------------- */

struct bytes {
    char *data;
    size_t size, room;
};

static void append(struct bytes *b, const void *data, size_t size)
{
    if (b->size + size > b->room) {
        b->room = 2 * b->room + size + 64;
        b->data = realloc(b->data, b->room);
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void add_varint(struct bytes *b, uint64_t v)
{
    do {
        const uint8_t byte = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
        append(b, &byte, 1);
        v >>= 7;
    } while (v);
}

static void add_number(struct bytes *b, unsigned field, int64_t v)
{
    add_varint(b, field << 3);
    add_varint(b, (uint64_t)v);
}

static void add_block(struct bytes *b, unsigned field, const void *data, size_t size)
{
    add_varint(b, field << 3 | 2);
    add_varint(b, size);
    append(b, data, size);
}

static void add_text(struct bytes *b, unsigned field, const char *text)
{
    add_block(b, field, text, strlen(text));
}

/* Appends a message, which is emptied. */
static void add_message(struct bytes *b, unsigned field, struct bytes *message)
{
    add_block(b, field, message->data, message->size);
    free(message->data);
    *message = (struct bytes){ 0 };
}

/* A node with up to two inputs. */
static void add_node(struct bytes *graph, const char *operator, const char * a, const char *b,
                     const char *output)
{
    struct bytes node = { 0 };
    add_text(&node, 1, a);
    if (b)
        add_text(&node, 1, b);
    add_text(&node, 2, output);
    add_text(&node, 4, operator);
    add_message(graph, 1, &node);
}

enum { FLOAT = 1, INT64 = 7 };

/* An initializer of this shape whose bytes are `data`. */
static void add_tensor(struct bytes *graph, const char *name, int type, int rank,
                       const int64_t *dims, const void *data, size_t size)
{
    struct bytes tensor = { 0 };
    for (int d = 0; d < rank; d++)
        add_number(&tensor, 1, dims[d]);
    add_number(&tensor, 2, type);
    add_text(&tensor, 8, name);
    add_block(&tensor, 9, data, size);
    add_message(graph, 5, &tensor);
}

static void add_ints(struct bytes *graph, const char *name, int n, const int64_t *values)
{
    const int64_t dims[] = { n };
    add_tensor(graph, name, INT64, 1, dims, values, (size_t)n * sizeof *values);
}

/* A value [1, c, h, w]; field 11: input, 12: output. */
static void add_value(struct bytes *graph, unsigned field, const char *name, int64_t c, int64_t h,
                      int64_t w)
{
    const int64_t dims[] = { 1, c, h, w };
    struct bytes shape = { 0 }, tensor = { 0 }, type = { 0 }, info = { 0 };
    for (int d = 0; d < 4; d++) {
        struct bytes dim = { 0 };
        add_number(&dim, 1, dims[d]);
        add_message(&shape, 1, &dim);
    }
    add_number(&tensor, 1, FLOAT);
    add_message(&tensor, 2, &shape);
    add_message(&type, 1, &tensor);
    add_text(&info, 1, name);
    add_message(&info, 2, &type);
    add_message(graph, field, &info);
}

/* A graph with the input "image" and the output "out". */
static struct bytes graph_of(int64_t c, int64_t h, int64_t w)
{
    struct bytes graph = { 0 };
    add_value(&graph, 11, "image", c, h, w);
    add_value(&graph, 12, "out", 1, 1, 1);
    return graph;
}

/* ---- opening --------------------------------------------------------------------------------- */

static char folder[] = "/tmp/ft-onnx-XXXXXX";

/* Whether a process may be measured: not under a sanitizer or valgrind. */
static bool is_measured(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
#if defined __SANITIZE_ADDRESS__
    return false;
#elif defined __has_feature
#if __has_feature(address_sanitizer)
    return false;
#endif
#endif
    return !preloaded || !strstr(preloaded, "vgpreload");
}

/* Opens the graph, which is freed, in a process of its own. Returns what the reader returns, and
 * the message. */
static int open_graph(struct bytes *graph, char *message, size_t room)
{
    struct bytes model = { 0 }, opset = { 0 };
    char path[128];
    int ends[2], state = 0;
    struct rusage use;
    add_number(&model, 1, 8);
    add_number(&opset, 2, 17);
    add_message(&model, 8, &opset);
    add_message(&model, 7, graph);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(model.data, 1, model.size, f) == model.size && !fclose(f));
    free(model.data);
    CHECK(!pipe(ends));
    const pid_t child = fork();
    if (!child) {
        struct ft_network *network = NULL;
        struct ft_error err = { 0 };
        const int rc = ft_onnx_reader.open(path, NULL, &network, &err);
        if (write(ends[1], err.msg, strlen(err.msg)) < 0)
            _exit(99);
        _exit(rc ? 1 : 0);
    }
    close(ends[1]);
    const ssize_t n = read(ends[0], message, room - 1);
    message[n > 0 ? n : 0] = 0;
    close(ends[0]);
    CHECK(wait4(child, &state, 0, &use) == child && WIFEXITED(state));
    const double seconds = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
    if (getenv("FT_VERBOSE"))
        printf("# %.2f s, %ld MB: %.150s\n", seconds, use.ru_maxrss / 1024, message);
    CHECK(!is_measured() || (seconds < 2 && use.ru_maxrss < 300 * 1024));
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

/* The graph is refused with a message that contains `text`. */
static void refuse(struct bytes *graph, const char *text)
{
    char message[2048];
    CHECK(open_graph(graph, message, sizeof message) == 1);
    if (!strstr(message, text))
        printf("# '%s' is not in: %s\n", text, message);
    CHECK(strstr(message, text));
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void sizes_that_the_file_does_not_have(void)
{
    static const int64_t shapes[][4] = { { 1LL << 40, 1, 1, 1 },
                                         { 1LL << 31, 1LL << 31, 1LL << 31, 1LL << 31 },
                                         { 65536, 65536, 1, 1 },
                                         { -1, -1, 1, 1 },
                                         { 3, 3, 3, 3 } };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct bytes graph = graph_of(3, 8, 8);
        add_tensor(&graph, "w", FLOAT, 4, shapes[i], "abcd", 4);
        add_node(&graph, "Conv", "image", "w", "out");
        refuse(&graph, "tensor 'w'");
    }
    struct bytes graph = graph_of(3, 1LL << 40, 1LL << 40);
    add_node(&graph, "Relu", "image", NULL, "out");
    refuse(&graph, "too large");
}

/* Small files whose arithmetic of shapes would make large tensors, or take long. */
static void constants_that_grow(void)
{
    struct bytes graph = graph_of(3, 8, 8);
    add_ints(&graph, "shape", 2, (int64_t[]){ 40000, 40000 });
    add_node(&graph, "ConstantOfShape", "shape", NULL, "c");
    add_node(&graph, "Relu", "image", NULL, "out");
    refuse(&graph, "memory");

    graph = graph_of(3, 8, 8);
    add_ints(&graph, "c0", 2, (int64_t[]){ 1, 1 });
    for (int i = 0; i < 60; i++) {
        char from[16], to[16];
        struct bytes node = { 0 }, axis = { 0 };
        snprintf(from, sizeof from, "c%d", i);
        snprintf(to, sizeof to, "c%d", i + 1);
        add_text(&axis, 1, "axis");
        add_number(&axis, 3, 0);
        add_text(&node, 1, from);
        add_text(&node, 1, from);
        add_text(&node, 2, to);
        add_text(&node, 4, "Concat");
        add_message(&node, 5, &axis);
        add_message(&graph, 1, &node);
    }
    add_node(&graph, "Relu", "image", NULL, "out");
    refuse(&graph, "memory");

    graph = graph_of(3, 8, 8);
    add_ints(&graph, "shape", 1, (int64_t[]){ 1 << 22 });
    add_node(&graph, "ConstantOfShape", "shape", NULL, "c");
    for (int i = 0; i < 20000; i++) {
        char to[16];
        snprintf(to, sizeof to, "s%d", i);
        add_node(&graph, "ReduceSum", "c", NULL, to);
    }
    add_node(&graph, "Relu", "image", NULL, "out");
    refuse(&graph, "memory");
}

/* Layers that need large weights: channels of an input in another order. */
static void weights_that_grow(void)
{
    enum { C = 16000 };
    struct bytes graph = graph_of(C, 8, 8);
    int64_t *order = malloc(C * sizeof *order);
    for (int i = 0; i < C; i++)
        order[i] = C - 1 - i;
    add_ints(&graph, "order", C, order);
    free(order);
    for (int i = 0; i < 20; i++) {
        struct bytes node = { 0 }, axis = { 0 };
        char to[16];
        snprintf(to, sizeof to, "x%d", i);
        add_text(&axis, 1, "axis");
        add_number(&axis, 3, 1);
        add_text(&node, 1, "image");
        add_text(&node, 1, "order");
        add_text(&node, 2, i == 19 ? "out" : to);
        add_text(&node, 4, "Gather");
        add_message(&node, 5, &axis);
        add_message(&graph, 1, &node);
    }
    refuse(&graph, "memory");
}

/* The same constant again and again; an order of axes that takes a long search. */
static void work_that_is_repeated(void)
{
    enum { SIDE = 200, NODES = 20000, AXES = 8 };
    static float values[3 * SIDE * SIDE];
    static const int64_t apart[AXES] = { 1, 3, 2, 2, 2, 2, 2, 2 },
                         order[AXES] = { 0, 7, 2, 5, 1, 6, 3, 4 };
    struct bytes graph = graph_of(3, SIDE, SIDE), node = { 0 }, perm = { 0 };
    char from[16] = "image", to[16];
    add_tensor(&graph, "c", FLOAT, 4, (int64_t[]){ 1, 3, SIDE, SIDE }, values, sizeof values);
    for (int i = 0; i < NODES; i++) {
        snprintf(to, sizeof to, i + 1 < NODES ? "v%d" : "out", i);
        add_node(&graph, "Add", from, "c", to);
        memcpy(from, to, sizeof from);
    }
    refuse(&graph, "memory");

    graph = graph_of(3, 8, 8);
    add_ints(&graph, "apart", AXES, apart);
    add_ints(&graph, "map", 4, (int64_t[]){ 1, 8, 6, 4 });
    add_node(&graph, "Reshape", "image", "apart", "parts");
    add_text(&perm, 1, "perm");
    for (int d = 0; d < AXES; d++)
        add_number(&perm, 8, order[d]);
    add_text(&node, 1, "parts");
    add_text(&node, 2, "mixed");
    add_text(&node, 4, "Transpose");
    add_message(&node, 5, &perm);
    add_message(&graph, 1, &node);
    add_node(&graph, "Reshape", "mixed", "map", "y");
    for (int i = 0; i < NODES; i++) {
        snprintf(to, sizeof to, i + 1 < NODES ? "v%d" : "out", i);
        add_node(&graph, "GlobalAveragePool", "y", NULL, to);
    }
    refuse(&graph, "");
}

static void circles(void)
{
    struct bytes graph = graph_of(3, 8, 8);
    add_node(&graph, "Add", "image", "b", "a");
    add_node(&graph, "Relu", "a", NULL, "b");
    add_node(&graph, "Relu", "b", NULL, "out");
    refuse(&graph, "uses 'b' before it is computed");
    graph = graph_of(3, 8, 8);
    add_node(&graph, "Add", "image", "out", "out");
    refuse(&graph, "uses 'out' before it is computed");
    graph = graph_of(3, 8, 8);
    add_node(&graph, "Relu", "image", NULL, "out");
    add_node(&graph, "Sigmoid", "image", NULL, "out");
    refuse(&graph, "two nodes compute 'out'");
    graph = graph_of(3, 8, 8);
    add_node(&graph, "Identity", "image", NULL, "out");
    add_node(&graph, "Relu", "out", NULL, "image");
    refuse(&graph, "two nodes compute 'image'");
}

static void long_and_deceptive_strings(void)
{
    enum { LONG = 1 << 22 };
    char *text = malloc(LONG + 1), message[2048];
    struct bytes graph = graph_of(3, 8, 8);
    memset(text, 'x', LONG);
    text[LONG] = 0;
    add_node(&graph, text, "image", NULL, "out");
    refuse(&graph, "not supported");
    graph = graph_of(3, 8, 8);
    add_node(&graph, "Relu", text, NULL, "out");
    refuse(&graph, "before it is computed");
    graph = graph_of(3, 8, 8);
    add_node(&graph, "Relu", "image", NULL, text); /* a name of 4 MB */
    add_node(&graph, "Relu", text, NULL, "out");
    CHECK(open_graph(&graph, message, sizeof message) == 0);
    free(text);
    graph = graph_of(3, 8, 8);
    add_node(&graph, "%s%n%s", "image", NULL, "out");
    refuse(&graph, "%s%n%s");
    graph = graph_of(3, 8, 8);
    add_node(&graph, "\xff\x1b[2J\n", "image", NULL, "out");
    refuse(&graph, "not supported");
}

static void many_nodes(void)
{
    static const char *const operators[] = { "Relu", "Identity", "Flatten", "Nonsense" };
    for (size_t k = 0; k < sizeof operators / sizeof *operators; k++)
        for (int n = 32000; n <= 1000000; n += 968000) {
            struct bytes graph = graph_of(3, 8, 8);
            char from[16] = "image", to[16], message[2048];
            for (int i = 0; i < n; i++) {
                snprintf(to, sizeof to, i + 1 < n ? "v%d" : "out", i);
                add_node(&graph, operators[k], from, NULL, to);
                memcpy(from, to, sizeof from);
            }
            const int status = open_graph(&graph, message, sizeof message);
            CHECK(status == 1 || (n == 32000 && status == 0));
        }
}

/* ---- data beside the model ------------------------------------------------------------------- */

static void add_entry(struct bytes *tensor, const char *key, const char *value)
{
    struct bytes entry = { 0 };
    add_text(&entry, 1, key);
    add_text(&entry, 2, value);
    add_message(tensor, 13, &entry);
}

/* A convolution [4, 3, 1, 1] with its kernel in another file. */
static struct bytes external(const char *location, const char *offset, const char *length)
{
    struct bytes graph = graph_of(3, 8, 8), tensor = { 0 };
    const int64_t dims[] = { 4, 3, 1, 1 };
    for (int d = 0; d < 4; d++)
        add_number(&tensor, 1, dims[d]);
    add_number(&tensor, 2, FLOAT);
    add_text(&tensor, 8, "w");
    add_entry(&tensor, "location", location);
    if (offset)
        add_entry(&tensor, "offset", offset);
    if (length)
        add_entry(&tensor, "length", length);
    add_number(&tensor, 14, 1);
    add_message(&graph, 5, &tensor);
    add_node(&graph, "Conv", "image", "w", "out");
    return graph;
}

static void write_file(const char *path)
{
    static const float values[12] = { 1 };
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(values, sizeof *values, 12, f) == 12 && !fclose(f));
}

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void data_beside_the_model(void)
{
    static const char *const outside[] = { "../w.bin", "/etc/passwd", "sub/../../w.bin",
                                           "..",       "sub/..",      "" };
    static const char *const numbers[][2] = { { "1", NULL },
                                              { "-1", NULL },
                                              { "18446744073709551615", "48" },
                                              { "0", "1000000000000" },
                                              { "x", NULL },
                                              { "99999999999999999999999", NULL } };
    char message[2048];
    CHECK(!mkdir(in_folder("sub"), 0700));
    write_file(in_folder("w.bin"));
    write_file(in_folder("sub/w.bin"));
    struct bytes graph = external("w.bin", NULL, NULL);
    CHECK(open_graph(&graph, message, sizeof message) == 0);
    graph = external("sub/w.bin", "0", "48");
    CHECK(open_graph(&graph, message, sizeof message) == 0);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        graph = external(outside[i], NULL, NULL);
        refuse(&graph, "outside the folder");
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        graph = external("w.bin", numbers[i][0], numbers[i][1]);
        refuse(&graph, "are not all in 'w.bin'");
    }
    graph = external("absent.bin", NULL, NULL);
    refuse(&graph, "'absent.bin'");
    graph = external("sub", NULL, NULL);
    refuse(&graph, "'sub'");
}

static void links_and_devices_are_not_followed(void)
{
    struct bytes graph;
    CHECK(!symlink("/etc/passwd", in_folder("link.bin")));
    graph = external("link.bin", NULL, NULL);
    refuse(&graph, "symbolic link");
    CHECK(!symlink("/etc", in_folder("etc")));
    graph = external("etc/passwd", NULL, NULL);
    refuse(&graph, "symbolic link");
    CHECK(!mkfifo(in_folder("fifo"), 0600));
    graph = external("fifo", NULL, NULL);
    refuse(&graph, "'fifo'");
}

int main(void)
{
    static const char *const names[] = { "model.onnx", "w.bin", "sub/w.bin",
                                         "link.bin",   "etc",   "fifo" };
    if (!mkdtemp(folder))
        return 1;
    RUN(sizes_that_the_file_does_not_have);
    RUN(constants_that_grow);
    RUN(weights_that_grow);
    RUN(work_that_is_repeated);
    RUN(circles);
    RUN(long_and_deceptive_strings);
    RUN(many_nodes);
    RUN(data_beside_the_model);
    RUN(links_and_devices_are_not_followed);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in_folder(names[i]));
    rmdir(in_folder("sub"));
    rmdir(folder);
    return test_end();
}
