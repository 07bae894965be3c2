/* dataset/: folders, tables of labels, layouts and streams of inputs as rows; the facts of files.
 */
#define _GNU_SOURCE
#include "pictures.h"

#include <sys/stat.h>
#include <unistd.h>

#include "dataset/lines.h"
#include "dataset/walk.h"

static char root[] = "/tmp/finetune-test-XXXXXX";

static const char *at(const char *name)
{
    static char paths[8][512];
    static int i;
    char *path = paths[i++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void folder(const char *name)
{
    CHECK(!mkdir(at(name), 0755));
}

static void file(const char *name, const char *text)
{
    CHECK(!ft_file_replace(at(name), text, strlen(text), NULL));
}

static void picture(const char *name)
{
    file(name, "\xff\xd8\xff");
}

/* The path of row i below the root. */
static const char *row(const struct ft_dataset *d, size_t i)
{
    return i < d->n && !strncmp(d->paths[i], root, strlen(root)) ? d->paths[i] + strlen(root) + 1
                                                                 : "another folder";
}

static const char *class_of(const struct ft_dataset *d, size_t i)
{
    return i < d->n && d->labels[i] >= 0 ? d->classes[d->labels[i]] : "none";
}

static void folders(void)
{
    struct ft_dataset *d = NULL;
    struct ft_error e;
    folder("set");
    folder("set/b");
    folder("set/b/a");
    folder("set/b/a.b");
    folder("set/a");
    folder("set/empty");
    folder("set/.hidden");
    picture("set/b/a/1");
    picture("set/b/a.b/2.jpg");
    picture("set/a/really-a-jpeg.txt");
    picture("set/.hidden/3.jpg");
    picture("set/a/.4.jpg");
    picture("set/loose.jpg");
    file("set/a/only-named-so.WebP", "text");
    file("set/a/notes.txt", "text");
    CHECK(!symlink("nowhere", at("set/a/broken.png")));
    CHECK(!symlink("..", at("set/b/a/up"))); /* would be entered for ever */
    CHECK(!ft_dataset_open(at("set"), false, &d, &e));
    CHECK(d->n_classes == 2 && !strcmp(d->classes[0], "a") && !strcmp(d->classes[1], "b"));
    CHECK(d->n == 5 && d->n_others == 1 && d->n_loose == 1);
    CHECK(d->n_empty == 1 && !strcmp(d->empty[0], "empty"));
    CHECK_STR(row(d, 0), "set/a/broken.png");
    CHECK_STR(row(d, 1), "set/a/only-named-so.WebP");
    CHECK_STR(row(d, 2), "set/a/really-a-jpeg.txt");
    CHECK_STR(row(d, 3), "set/b/a.b/2.jpg"); /* by the bytes of the path: '.' is before '/' */
    CHECK_STR(row(d, 4), "set/b/a/1");
    CHECK_STR(class_of(d, 2), "a");
    CHECK_STR(class_of(d, 4), "b");
    ft_dataset_free(d);
    CHECK(!ft_dataset_open(at("set"), true, &d, &e));
    CHECK(d->n == 6 && d->n_loose == 1);
    CHECK_STR(row(d, 5), "set/loose.jpg");
    CHECK_STR(class_of(d, 5), "none");
    ft_dataset_free(d);
    d = NULL;
    CHECK(ft_dataset_open(at("nowhere"), false, &d, &e) == FT_EIO && !d);
    CHECK(strstr(e.msg, "nowhere': no such file or directory"));
    CHECK(ft_dataset_open(at("set/loose.jpg"), false, &d, &e) == FT_EARG && !d);
    CHECK(strstr(e.msg, "is not a directory"));
    ft_dataset_free(NULL);
}

/* What a table is understood as: "PATH=CLASS PATH=CLASS", or the message of its refusal. */
static const char *table(const char *text, size_t n)
{
    static char out[1000];
    struct ft_dataset *d = NULL;
    struct ft_error e;
    size_t used = 0;
    CHECK(!ft_file_replace(at("set/table.csv"), text, n, NULL));
    if (ft_dataset_open_labels(at("set/table.csv"), NULL, &d, &e)) {
        CHECK(!d && (e.code == FT_EFORMAT || e.code == FT_EARG));
        const char *after = strstr(e.msg, "table.csv'");
        return strcpy(out, after ? after + 10 : e.msg);
    }
    out[0] = 0;
    for (size_t i = 0; i < d->n && used < sizeof out; i++)
        used +=
            (size_t)snprintf(out + used, sizeof out - used, "%s%s=%s", i ? " " : "",
                             row(d, i) + (strncmp(row(d, i), "set/", 4) ? 0 : 4), class_of(d, i));
    for (int i = 1; i < d->n_classes; i++)
        CHECK(strcmp(d->classes[i - 1], d->classes[i]) < 0);
    ft_dataset_free(d);
    return out;
}

#define TABLE(text, want) CHECK_STR(table(text, sizeof text - 1), want)

static void columns_by_content(void)
{
    /* names of columns and separators as published tables have them */
    TABLE("id,breed\nx,husky\ny,pug\n", "x.jpg=husky y.jpg=pug");
    TABLE("id_code,diagnosis\nx,0\nz,4\n", "x.jpg=0 z.png=4");
    TABLE("image,level\nx.jpg,2\ny.jpg,0\n", "x.jpg=2 y.jpg=0");
    TABLE("filename;label\nx.jpg;cat\ny.jpg;dog\n", "x.jpg=cat y.jpg=dog");
    TABLE("filename, label\nx.jpg, cat\n \"y.jpg\" , dog \n", "x.jpg=cat y.jpg=dog");
    TABLE("file\tspecies\nx.jpg\tred fox\ny.jpg\twolf\n", "x.jpg=red fox y.jpg=wolf");
    TABLE("x.jpg cat\ny.jpg   dog \n", "x.jpg=cat y.jpg=dog");
    TABLE("x.jpg|cat\ny.jpg|dog\n", "x.jpg=cat y.jpg=dog");
    /* neither name is known, nor are the columns the first two */
    TABLE("n,width,art,bild\n1,640,cat,x\n2,641,dog,y\n3,642,cat,z\n",
          "x.jpg=cat y.jpg=dog z.png=cat");
    /* one-hot; a column of 0 and 1 beside a column of paths is a label */
    TABLE("image,MEL,NV,BCC\nx,0.0,1.0,0.0\ny,1.0,0.0,0.0\n", "x.jpg=NV y.jpg=MEL");
    TABLE("image,has_cat\nx,0\ny,1\n", "x.jpg=0 y.jpg=1");
    TABLE("image,a,b\nx,0,1\ny,1,0\nz,1,1\n", " has rows without exactly one 1 in the columns of 0 "
                                              "and 1: choose one with --label-column");
    /* paths of another machine, backslashes, the name of the folder in the path */
    TABLE("path,label\nC:\\Users\\ann\\data\\x.jpg,cat\n/home/bob/pics/y.jpg,dog\n",
          "x.jpg=cat y.jpg=dog");
    TABLE("path,label\nb\\a\\1,cat\nset/y.jpg,dog\n", "b/a/1=cat y.jpg=dog");
    TABLE("path,label\nother/x.jpg,cat\ny.jpg,dog\n", "other/x.jpg=cat y.jpg=dog");
    char want[300];
    snprintf(
        want, sizeof want,
        ": none of its 2 pictures exists: the first is 'u.jpg', tried as '%s': give the folder "
        "of the pictures, or the right column with --path-column",
        at("set/u.jpg"));
    TABLE("path,label\nu.jpg,cat\nv.jpg,dog\n", want);
    TABLE("path\nx.jpg\n", " has one column: expected a column of paths and a column of labels");
}

static void tables_of_labels(void)
{
    picture("set/x.jpg");
    picture("set/y.jpg");
    picture("set/z.png");
    picture("set/a, b.jpg");
    picture("set/two\nlines.jpg");
    TABLE("path,label\nx.jpg,cat\ny.jpg,dog\n", "x.jpg=cat y.jpg=dog");
    TABLE("y.jpg,dog\r\nx.jpg,cat", "y.jpg=dog x.jpg=cat"); /* no header: the order stays */
    TABLE("\xef\xbb\xbflabel,score,FileName\ncat,0.5,x.jpg\n\n", "x.jpg=cat");
    TABLE("path,label\n\"a, b.jpg\",\"the \"\"best\"\" cat\"\n", "a, b.jpg=the \"best\" cat");
    TABLE("path,label\n\"two\nlines.jpg\",cat\n", "two\nlines.jpg=cat");
    TABLE("", "");
    TABLE("path,label\nx.jpg\n", ": record 2 has no label");
    TABLE("path,label\n,cat\n", ": record 2 has no path");
    TABLE("path,label\nx.jpg,\"cat\n", ": record 2 opens a quote that is never closed");
    TABLE("path,label\nx.jpg,c\0t\n", " holds a zero byte: save it as CSV in UTF-8");
    struct ft_dataset *d = NULL;
    struct ft_error e;
    columns_by_content();
    CHECK(ft_dataset_open_labels(at("none.csv"), NULL, &d, &e) == FT_EIO && !d);
    file("table.csv", "1,cat\n");
    CHECK(!ft_dataset_open_labels(at("table.csv"),
                                  &(struct ft_table_options){ .dir = at("set/b/a") }, &d, &e));
    CHECK_STR(row(d, 0), "set/b/a/1");
    ft_dataset_free(d);
}

static void layouts(void)
{
    struct ft_layout l = { 0 };
    struct ft_error e;
    folder("layout");
    folder("layout/Train");
    folder("layout/Train/cat");
    folder("layout/Train/dog");
    folder("layout/valid");
    folder("layout/valid/cat");
    file("layout/Train/cat/a.ppm", "P6 1 1 255\n   ");
    file("layout/Train/dog/a.ppm", "P6 1 1 255\n   ");
    file("layout/valid/cat/a.ppm", "P6 1 1 255\n   ");
    file("layout/README", "text");
    CHECK(!ft_dataset_layout(at("layout"), &l, &e));
    CHECK_STR(l.train ? l.train : "", at("layout/Train"));
    CHECK_STR(l.val ? l.val : "", at("layout/valid"));
    CHECK(!l.test && !l.unlabelled);
    ft_layout_release(&l);
    CHECK(!l.train && !l.val);
    /* class folders: nothing to descend into */
    CHECK(!ft_dataset_layout(at("layout/Train"), &l, &e) && !l.train && !l.val && !l.test);
    ft_layout_release(&l);
}

static void streams_of_inputs(void)
{
    char a[512], b[512], list[512];
    struct ft_inputs_options options = { .list = list };
    struct ft_inputs *inputs = NULL;
    struct ft_error e;
    strcpy(a, at("set/a"));
    strcpy(b, at("set/b"));
    char *const arguments[2] = { a, b }; /* borrowed until the end */
    snprintf(list, sizeof list, "%s", at("list"));
    char text[2048];
    snprintf(text, sizeof text, "\n%s\n\n%s", at("set/a/notes.txt"), at("nowhere.jpg"));
    file("list", text);
    CHECK(!ft_inputs_open(arguments, 2, &options, &inputs, &e));
    const char *const want[] = {
        "set/a/broken.png", "set/a/only-named-so.WebP", "set/a/really-a-jpeg.txt",
        "set/b/a/1",        "set/b/a.b/2.jpg",          "set/a/notes.txt",
        "nowhere.jpg"
    };
    const char *path;
    size_t n = 0;
    for (; (path = ft_inputs_next(inputs)); n++)
        if (n < sizeof want / sizeof *want)
            CHECK_STR(path + strlen(root) + 1, want[n]);
    CHECK(n == sizeof want / sizeof *want);
    CHECK(!ft_inputs_next(inputs) && !ft_inputs_status(inputs, &e));
    ft_inputs_free(inputs);
    inputs = NULL;
    snprintf(list, sizeof list, "%s", at("no-list"));
    CHECK(ft_inputs_open(NULL, 0, &options, &inputs, &e) == FT_EIO && !inputs);
    CHECK(strstr(e.msg, "no-list': no such file or directory"));
    snprintf(list, sizeof list, "%s", root); /* opens, but cannot be read */
    CHECK(!ft_inputs_open(NULL, 0, &options, &inputs, &e));
    CHECK(!ft_inputs_next(inputs) && ft_inputs_status(inputs, &e) == FT_EIO);
    CHECK(strstr(e.msg, "cannot read the list of inputs"));
    ft_inputs_free(inputs);
    ft_inputs_free(NULL);
}

static void labelled_inputs(void)
{
    char b[512], same[512];
    const struct ft_inputs_options options = { 0 };
    struct ft_inputs *inputs;
    struct ft_dataset *d, *table;
    struct ft_error e;
    strcpy(b, at("set/b"));
    strcpy(same, at("set/b/../b/a/1")); /* the same file under another path */
    char *const arguments[2] = { b, same };
    CHECK(!ft_inputs_open(arguments, 2, &options, &inputs, &e));
    CHECK(!ft_dataset_open_inputs(inputs, NULL, &d, &e));
    CHECK(d->n == 3);
    CHECK_STR(class_of(d, 0), "a");
    CHECK_STR(class_of(d, 1), "a.b");
    ft_inputs_free(inputs);
    ft_dataset_free(d);
    file("labels.csv", "set/b/a/1,one\n");
    CHECK(!ft_dataset_open_labels(at("labels.csv"), &(struct ft_table_options){ .dir = root },
                                  &table, &e));
    CHECK(!ft_inputs_open(arguments, 2, &options, &inputs, &e));
    CHECK(!ft_dataset_open_inputs(inputs, table, &d, &e));
    CHECK(d->n == 2 && d->n_loose == 1 && d->n_classes == 1);
    CHECK_STR(class_of(d, 1), "one");
    CHECK_STR(d->paths[1], same);
    ft_inputs_free(inputs);
    ft_dataset_free(d);
    ft_dataset_free(table);
}

/* Records longer than the buffer, and ones that end in NUL. */
static void lines(void)
{
    enum { LONG = 200000 };
    struct ft_lines l;
    struct ft_error e;
    char *text = malloc(LONG + 4), *out = NULL;
    memset(text, 'x', LONG);
    memcpy(text + LONG, "\0a\nb", 4);
    CHECK(!ft_file_replace(at("lines"), text, LONG + 4, NULL));
    CHECK(!ft_lines_open(at("lines"), 0, NULL, NULL, &l, &e));
    CHECK(ft_lines_next(&l, &out, &e) == 1 && strlen(out) == LONG);
    CHECK(ft_lines_next(&l, &out, &e) == 1);
    CHECK_STR(out, "a\nb");
    CHECK(ft_lines_next(&l, &out, &e) == 0 && ft_lines_next(&l, &out, &e) == 0);
    ft_lines_release(&l);
    free(text);
}

static size_t most_steps;

static void count_steps(void *user, size_t done, size_t total)
{
    CHECK(user == root && done >= 1 && done <= 3 && total == 3);
    most_steps = done > most_steps ? done : most_steps;
}

static void one_survey(const struct golden *g, const struct ft_bytes *bytes,
                       const struct ft_image *image)
{
    struct ft_facts facts[3];
    struct ft_error e;
    char name[100], path[512];
    double brightness = 0, contrast = 0, sharpness = 0;
    int quality = -1;
    unsigned long long print = 0;
    (void)image;
    CHECK(sscanf(g->rest, "%lf %lf %lf %d %llx", &brightness, &contrast, &sharpness, &quality,
                 &print) == 5);
    snprintf(name, sizeof name, "golden/image/%s", g->file);
    snprintf(path, sizeof path, "%s/%s", getenv("FT_TEST_DATA"), name);
    char *const paths[3] = { path, (char *)(uintptr_t)at("list"), (char *)(uintptr_t)at("gone") };
    const struct ft_survey_options options = { .threads = 2,
                                               .progress = count_steps,
                                               .user = root };
    CHECK(!ft_survey(paths, 3, &options, facts, &e));
    CHECK(facts[0].status == 0 && facts[0].bytes == bytes->size);
    CHECK(facts[0].width == g->width && facts[0].height == g->height);
    CHECK_NEAR(facts[0].brightness, brightness, 1e-3);
    CHECK_NEAR(facts[0].contrast, contrast, 1e-3);
    CHECK_NEAR(facts[0].sharpness, sharpness, 1e-2);
    CHECK(facts[0].jpeg_quality == quality);
    if (facts[0].print != print) {
        printf("# %s: hash %016llx\n", g->file, (unsigned long long)facts[0].print);
        test_failures++;
    }
    CHECK(facts[1].status == FT_EFORMAT && facts[1].width == 0 && facts[1].bytes == 0);
    CHECK(facts[2].status == FT_EIO);
    const struct ft_survey_options small = { .threads = 1, .max_pixels = 1 };
    CHECK(!ft_survey(paths, 1, &small, facts, &e) && facts[0].status == FT_ELIMIT);
}

static void surveys(void)
{
    for_each_golden("facts", 4, one_survey);
    CHECK(most_steps >= 1);
}

static void classes_by_names_of_files(void)
{
    struct ft_dataset *d = NULL;
    struct ft_error e;
    folder("named");
    folder("named/2024");
    picture("named/cat.0.jpg");
    picture("named/great_pyrenees_12.jpg");
    picture("named/dog (3).png");
    picture("named/2024/cat-17.JPG");
    picture("named/4711.jpg");
    file("named/notes.txt", "text");
    CHECK(!ft_dataset_open_named(at("named"), "name", &d, &e));
    CHECK(d->n == 4 && d->n_classes == 3 && d->n_loose == 1 && d->n_others == 1);
    CHECK_STR(d->classes[0], "cat");
    CHECK_STR(d->classes[1], "dog");
    CHECK_STR(d->classes[2], "great_pyrenees");
    for (size_t i = 0; i < d->n; i++)
        CHECK(strstr(row(d, i), class_of(d, i)) != NULL);
    ft_dataset_free(d);
    CHECK(!ft_dataset_open_named(at("named"), "^([0-9]+)/", &d, &e)); /* the path below */
    CHECK(d->n == 1 && d->n_loose == 4);
    CHECK_STR(class_of(d, 0), "2024");
    CHECK_STR(row(d, 0), "named/2024/cat-17.JPG");
    ft_dataset_free(d);
    d = NULL;
    CHECK(ft_dataset_open_named(at("named"), "(", &d, &e) == FT_EARG && !d);
    CHECK(strstr(e.msg, "'('") != NULL);
    CHECK(ft_dataset_open_named(at("absent"), "name", &d, &e) == FT_EIO && !d);
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    RUN(folders);
    RUN(classes_by_names_of_files);
    RUN(tables_of_labels);
    RUN(layouts);
    RUN(streams_of_inputs);
    RUN(labelled_inputs);
    RUN(lines);
    RUN(surveys);
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command) ? 1 : test_end();
}
