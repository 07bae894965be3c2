/* A watched directory whose events come faster than they are taken: nothing is missed, nothing is
 * given twice. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "finetune-tools.h"
#include "test.h"

static char folder[] = "/tmp/finetune-test-XXXXXX";
static time_t deadline;

static bool late(void *user)
{
    (void)user;
    return time(NULL) >= deadline;
}

static void touch(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    CHECK(fd >= 0 && write(fd, "\xff\xd8\xff", 3) == 3);
    close(fd);
}

/* More events than the kernel keeps; those of the same file in turn would be made one. */
static void flood(long events)
{
    for (long i = 0; i < events; i++)
        touch(i % 2 ? "a.txt" : "b.txt");
}

static long kernel_keeps(void)
{
    long n = -1;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (f && fscanf(f, "%ld", &n) != 1)
        n = -1;
    if (f)
        fclose(f);
    return n;
}

/* How often `name` is given; *others: anything else that is a picture by name. Waits until `name`
 * and `wanted` others have been given, for at most a minute, then two seconds more for what should
 * not be given. */
static int given(struct ft_inputs *inputs, const char *name, int wanted, int *others)
{
    int count = 0;
    bool complete = false;
    const char *path;
    deadline = time(NULL) + 60;
    *others = 0;
    while ((path = ft_inputs_next(inputs))) {
        const char *base = strrchr(path, '/') + 1;
        count += !strcmp(base, name);
        *others += strcmp(base, name) && strstr(base, ".jpg");
        if (!complete && count && *others >= wanted) {
            complete = true;
            deadline = time(NULL) + 2;
        }
    }
    return count;
}

static void nothing_is_lost_when_the_queue_overflows(void)
{
    const struct ft_inputs_options options = { .watch = folder, .stop = late };
    const long most = kernel_keeps();
    struct ft_inputs *inputs;
    char path[PATH_MAX];
    int others;
    if (most < 0 || most > 200000)
        SKIP("no inotify queue of a size that can be filled in a short time");
    touch("before.jpg");
    CHECK(ft_inputs_open(NULL, 0, &options, &inputs, NULL) == 0);
    touch("first.jpg");
    /* not what was there before */
    CHECK(given(inputs, "first.jpg", 0, &others) == 1 && others == 0);
    flood(most + 100);
    touch("lost.jpg");
    snprintf(path, sizeof path, "%s/lost-folder", folder);
    CHECK(!mkdir(path, 0755));
    touch("lost-folder/inside.jpg");
    /* and the one inside, first.jpg not again */
    CHECK(given(inputs, "lost.jpg", 1, &others) == 1 && others == 1);
    touch("lost-folder/later.jpg");
    touch("first.jpg");
    /* the new folder is watched, changed files are given as ever */
    CHECK(given(inputs, "later.jpg", 1, &others) == 1 && others == 1);
    ft_inputs_free(inputs);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    RUN(nothing_is_lost_when_the_queue_overflows);
    char command[PATH_MAX + 20];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) ? 1 : test_end();
}
