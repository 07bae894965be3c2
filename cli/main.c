/* finetune: chooses the command and runs it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static void help(FILE *to)
{
    fprintf(to, "finetune: train an image classifier on a folder of labelled pictures\n\nusage: "
                "finetune COMMAND [OPTION...] ARGUMENT...\n\n");
    for (int i = 0; i < n_commands; i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\nfinetune COMMAND --help lists the options of a command. finetune --version "
                "prints the version and the formats of pictures and networks.\n");
}

#ifdef FT_HAVE_LIBZIP
#define ARCHIVES ", .keras"
#else
#define ARCHIVES ""
#endif
#ifdef FT_HAVE_PROTOBUF_C
#define ONNX ", ONNX"
#else
#define ONNX ""
#endif

static void version(void)
{
    char formats[200];
    ft_picture_formats(formats, sizeof formats);
    printf("finetune %s\npictures: %s\ncolour profiles: %s\nnetworks: Keras .h5" ARCHIVES ONNX
           "\nkernels: %s, %s\n",
           ft_version(), formats,
           ft_picture_profiles() ? "ICC (--icc)" : "ignored: built without lcms2", ft_cpu_name(),
           bf16_text());
}

static int unknown_command(const char *name)
{
    enum { MOST = 64 };
    const char *names[MOST];
    int n = 0;
    for (; n < n_commands && n < MOST; n++)
        names[n] = commands[n]->name;
    const char *near = nearest_word(name, names, (size_t)n);
    struct stat st;
    if (*name == '-')
        say("'%s' is not a command: options follow the command, as in finetune train DIR --json",
            name);
    else if (!stat(name, &st))
        say("'%s' is not a command: did you mean 'finetune %s %s'?", name,
            S_ISDIR(st.st_mode) ? "train" : "predict", name);
    else if (near)
        say("'%s' is not a command: did you mean '%s'?", name, near);
    else
        say("'%s' is not a command: finetune --help lists them", name);
    return EXIT_USAGE;
}

/* --log-json also applies to errors in the command line itself. */
static bool wants_log_json(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--log-json"))
            return true;
    return false;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct settings settings = { 0 };
    message_init(&(struct settings){ .log_json = wants_log_json(argc, argv) });
    int wrong = options_parse(command, argc, argv, &settings);
    if (!wrong && !settings.version && !settings.help)
        wrong = outputs_check(command, &settings);
    if (wrong)
        return wrong;
    if (settings.version)
        version();
    else if (settings.help)
        help_print(command);
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
    const struct command *command = name ? command_named(name) : NULL;
    if (name && !command)
        return unknown_command(name);
    if (command)
        help_print(command);
    else
        help(stdout);
    return EXIT_DONE;
}

/* Descriptors 0, 1 and 2 that the caller closed would be given to the first files that are opened,
 * and messages would go into those. */
static int open_standard_descriptors(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return -1;
    return 0;
}

int main(int argc, char **argv)
{
    if (open_standard_descriptors())
        return EXIT_FAILED; /* there is no descriptor for a message */
    /* a closed pipe and a file size limit are reported by the write that fails */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
        return finish(help_main(argc > 2 ? argv[2] : NULL));
    if (!strcmp(argv[1], "--version")) {
        version();
        return finish(EXIT_DONE);
    }
    if (!strcmp(argv[1], "manual")) /* used by the build */
        return finish(manual_main(argc > 2 ? argv[2] : NULL));
    if (!strcmp(argv[1], "completion"))
        return finish(completion_main(argc > 2 ? argv[2] : NULL));
    const struct command *command = command_named(argv[1]);
    return command ? run(command, argc - 2, argv + 2) : unknown_command(argv[1]);
}
