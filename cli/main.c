/* finetune: the table of commands, and how one is chosen. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

const struct command commands[] = {
    { "train", CMD_TRAIN, "DIR",
      "retrain the head on a folder with one directory of pictures for each class", 0, 1,
      train_main,
      "Example: images/cat/*.jpg and images/dog/*.png\n"
      "  finetune train images && finetune predict photo.jpg" },
    { "predict", CMD_PREDICT, "PICTURE|DIR...",
      "classify pictures: path, label and probability, one line each", 0, -1, predict_main,
      "Columns: path,label,probability,status,error, then label2,probability2,... with --top and "
      "one for each class with --probabilities.\n\n"
      "Examples:\n"
      "  finetune predict holiday | awk -F'\\t' '$2 == \"cat\" && $3 > 0.9 { print $1 }'\n"
      "  find . -name '*.jpg' -print0 | finetune predict -0 --files-from - --format csv\n"
      "  finetune predict inbox --move-to sorted --threshold auto" },
    { "evaluate", CMD_EVALUATE, "DIR|PICTURE...",
      "measure a model on a folder of labelled pictures it has not seen", 0, -1, evaluate_main,
      NULL },
    { "explain", CMD_EXPLAIN, "PICTURE",
      "show where in a picture the evidence is, and which training pictures it resembles", 1, 1,
      explain_main, "Example:\n  finetune explain photo.jpg -o why.png --compare cat,dog" },
    { "doctor", CMD_DOCTOR, "DIR",
      "find what is wrong with a folder: copies, wrong labels, outliers, bad pictures, shortcuts",
      1, 1, doctor_main,
      "Nothing is changed. A shortcut is a number such as the file's size that tells the classes "
      "apart by itself." },
    { "curve", CMD_CURVE, "DIR",
      "measure what more pictures, another L2 or another backbone would bring", 1, 1, curve_main,
      NULL },
    { "features", CMD_FEATURES, "DIR|PICTURE...",
      "write the frozen network's features to an HDF5 file", 0, -1, features_main,
      "The file holds `features` [n, d], `paths` [n], `classes` [k] and `labels` [n] (-1 without a "
      "class)." },
    { "info", CMD_INFO, "FILE", "say what is in a model or backbone file", 1, 1, info_main, NULL },
    { "bench", CMD_BENCH, "[FILE]", "time the network's forward pass on this machine", 0, 1,
      bench_main, NULL },
    { "import", CMD_IMPORT, "FILE", "turn any Keras file into a full-model file that train takes",
      1, 1, import_main,
      "Example: weights as keras.applications downloads them\n  finetune import "
      "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 -o resnet50.h5" },
    { "backbones", CMD_BACKBONES, "", "list the networks that are there, and those known by name",
      0, 0, backbones_main, NULL },
    { "cache", CMD_CACHE, "info|clear|prune",
      "look into or empty the folder where features are kept between runs", 1, 1, cache_main,
      NULL },
};
const int n_commands = sizeof commands / sizeof *commands;

static void help(FILE *to)
{
    fprintf(to, "finetune: a folder of labelled pictures becomes an image classifier\n\nusage: "
                "finetune COMMAND [OPTION...] ARGUMENT...\n\n");
    for (int i = 0; i < n_commands; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\nfinetune COMMAND --help lists a command's options. finetune --version prints "
                "the version.\n");
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof *commands];
    for (int i = 0; i < n_commands; i++)
        names[i] = commands[i].name;
    const char *near = nearest_word(name, names, (size_t)n_commands);
    if (near)
        say("'%s' is not a command: did you mean '%s'?", name, near);
    else
        say("'%s' is not a command: finetune --help lists them", name);
    return EXIT_USAGE;
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < n_commands; i++)
        if (!strcmp(name, commands[i].name))
            return &commands[i];
    return NULL;
}

/* Wrong use is told in the form that is asked for, too. */
static bool asks_for_log_json(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--log-json"))
            return true;
    return false;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct settings settings = { 0 };
    message_init(&(struct settings){ .log_json = asks_for_log_json(argc, argv) });
    const int wrong = options_parse(command, argc, argv, &settings);
    if (wrong)
        return wrong;
    if (settings.version)
        printf("finetune %s\n", ft_version());
    else if (settings.help)
        options_help(command);
    else {
        message_init(&settings);
        const int status = finish(command->run(&settings));
        signals_die();
        return status;
    }
    return finish(EXIT_DONE);
}

/* finetune help, finetune help COMMAND. */
static int help_main(const char *name)
{
    const struct command *command = name ? find_command(name) : NULL;
    if (name && !command)
        return unknown_command(name);
    if (command)
        options_help(command);
    else
        help(stdout);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    /* a reader that leaves early is noticed where standard output is flushed */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* and a file size limit where the write fails */
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
        return finish(help_main(argc > 2 ? argv[2] : NULL));
    if (!strcmp(argv[1], "--version")) {
        printf("finetune %s\n", ft_version());
        return finish(EXIT_DONE);
    }
    if (!strcmp(argv[1], "manual")) /* for the build, which installs them */
        return finish(manual_main(argc > 2 ? argv[2] : NULL));
    if (!strcmp(argv[1], "completion"))
        return finish(completion_main(argc > 2 ? argv[2] : NULL));
    const struct command *command = find_command(argv[1]);
    return command ? run(command, argc - 2, argv + 2) : unknown_command(argv[1]);
}
