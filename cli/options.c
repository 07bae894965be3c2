/* Options that several commands share. Options of one command are in its own file. */
#include "options.h"

const struct option backbone_name_options[] = {
    { "backbone", 'b', LIST_OF(backbones, 2), .file = FILE_READ, .argument = "NAME|FILE",
      .help = "pretrained network: a bundled one by name, a Keras or ONNX file, or the folder "
              "of a KerasHub preset (default: efficientnet-lite0); a second one is used side by "
              "side with the first" },
    { 0 },
};

const struct option model_options[] = {
    { "model", 'm', TEXT(model), .file = FILE_READ, .argument = "FILE", .initial = DEFAULT_MODEL,
      .help = "model file to use" },
    { "preprocess", 0, TEXT(preprocess), .argument = "MODE",
      .help = "pixel scaling that the network expects: tf, torch, caffe, none or SCALE,OFFSET "
              "(default: detected)" },
    { "resize", 0, TEXT(resize), .argument = "RULE", .choices = "crop|squash|pad",
      .help = "how a picture is fitted to the input of a model that another program trained "
              "(default: squash, as the data loaders of Keras do)" },
    { "icc", 0, FLAG(icc),
      .help =
          "convert the colours of pictures with an ICC profile to sRGB, for a model that another "
          "program trained (default: profiles are ignored)" },
    { "classes", 0, TEXT(classes), .file = FILE_READ, .argument = "A,B,...|FILE",
      .help = "names of the classes of a model that another program trained, in order, or a file "
              "of them (default: labels.txt or class_indices.json beside the model)" },
    { "precision", 0, TEXT(precision), .argument = "TYPE", .choices = "f32|bf16|int8",
      .help = "precision of the products in a model that another program trained (default: f32); "
              "other models keep the precision they were trained with" },
    { 0 },
};

const struct option network_options[] = {
    { "layer", 0, TEXT(layer), .argument = "NAME",
      .help = "use the output of this layer as features (default: the input of the last Dense "
              "layer)" },
    { "preprocess", 0, TEXT(preprocess), .argument = "MODE",
      .help = "pixel scaling that the network expects: tf, torch, caffe, none or SCALE,OFFSET "
              "(default: detected)" },
    { "arch", 0, TEXT(architecture), .argument = "NAME",
      .help = "architecture of a file that contains only weights (default: detected)" },
    { "size", 0, INT(size, 1, 4096), .argument = "N",
      .help = "width and height of the network's input in pixels (default: the size in the "
              "network's file)" },
    { 0 },
};

const struct option precision_options[] = {
    { "precision", 0, TEXT(precision), .argument = "TYPE", .choices = "f32|bf16|int8",
      .help = "precision of the network's products; bf16: bfloat16 with sums in float32, by "
              "instructions of AVX512_BF16, AMX or FEAT_BF16, slower on processors without them; "
              "int8: 8-bit integers (default: as the network's file says, else f32)" },
    { 0 },
};

const struct option resize_options[] = {
    { "resize", 0, TEXT(resize), .argument = "RULE", .choices = "crop|squash|pad",
      .help = "how a picture is fitted to the network's input (default: the rule in the network's "
              "file)" },
    { "icc", 0, FLAG(icc),
      .help = "convert the colours of pictures with an ICC profile to sRGB (default: profiles are "
              "ignored); the model keeps this setting" },
    { 0 },
};

const struct option label_options[] = {
    { "labels", 0, TEXT(labels), .file = FILE_READ, .argument = "FILE.csv",
      .help =
          "read labels from a table, not from folder names; paths are searched in DIR and beside "
          "the table" },
    { "path-column", 0, TEXT(path_column), .argument = "NAME|N",
      .help = "column of --labels with the paths (default: detected)" },
    { "label-column", 0, TEXT(label_column), .argument = "NAME|N",
      .help = "column of --labels with the labels (default: detected; also one-hot columns)" },
    { 0 },
};

const struct option class_options[] = {
    { "label-from", 0, REGEX(label_from), .argument = "folder|name|REGEX",
      .help =
          "where the class of a picture comes from: folder: every folder in DIR is a class, "
          "also train and test; name: NAME in files such as NAME.NUMBER.jpg; or the first (...) "
          "of REGEX in the path below DIR (default: class folders)" },
    { 0 },
};

const struct option list_options[] = {
    { "files-from", 0, TEXT(files_from), .file = FILE_READ, .argument = "FILE",
      .help = "read paths of pictures and folders from FILE, one per line; - means standard "
              "input" },
    { "null", '0', FLAG(nul),
      .help = "paths in --files-from end with a NUL byte, as find -print0 writes them" },
    { 0 },
};

const struct option report_options[] = {
    { "report", 0, TEXT(report), .file = FILE_WRITTEN, .argument = "FILE",
      .help = "write an HTML page with accuracy, mistakes and heat maps" },
    { 0 },
};

const struct option fit_options[] = {
    { "folds", 0, INT(folds, 2, 100), .argument = "N", .initial = "5",
      .help = "number of cross-validation folds" },
    { "group-by", 0, REGEX(group_by), .argument = "REGEX",
      .help = "keep pictures in one fold if the first (...) of REGEX matches the same text in "
              "their paths" },
    { "seed", 0, SEED(seed), .argument = "N", .initial = "1",
      .help = "random seed for splitting pictures into folds" },
    { "scale", 0, TEXT(scale), .argument = "RULE", .choices = "floor|standard", .initial = "floor",
      .help = "scaling of features; standard: unit variance; floor: less for features that rarely "
              "vary" },
    { 0 },
};

const struct option layer_options[] = {
    { "layers", 0, TEXT(depths), .argument = "last|auto|all|NAME,...", .initial = "auto",
      .help = "layers that the features come from; last: the last one; all: also the average of a "
              "map from each block of the network, weighted by cross-validation; NAME,...: of "
              "these layers; auto: all, or last for more than 20000 pictures or than --memory "
              "allows" },
    { 0 },
};

const struct option thread_options[] = {
    { "threads", 't', INT(threads, 0, 1024), .argument = "N", .initial = "0",
      .help = "number of threads; 0 means one per core" },
    { 0 },
};

const struct option picture_options[] = {
    { "max-megapixels", 0, INT(max_megapixels, 1, 65536), .argument = "N", .initial = "256",
      .help = "treat larger pictures as bad" },
    { 0 },
};

const struct option cache_options[] = {
    { "cache", 0, TEXT(cache), .argument = "DIR",
      .help = "folder that keeps features between runs (default: $XDG_CACHE_HOME/finetune)" },
    { "no-cache", 0, FLAG(no_cache), .help = "compute all features; do not read or write a cache" },
    { "memory", 0, SIZE(memory), .argument = "SIZE", .initial = "25%",
      .help = "limit for features in memory (500M, 2G, 50%); larger sets are read in blocks from "
              "a scratch file; doctor, curve and --report refuse them" },
    { 0 },
};

static const struct option common_options[] = {
    { "json", 0, FLAG(json), .help = "print the result as JSON" },
    { "log-json", 0, FLAG(log_json),
      .help = "write messages and progress as JSON, one object per line" },
    { "quiet", 'q', FLAG(quiet), .help = "print only results and errors" },
    { "verbose", 'v', FLAG(verbose), .help = "print more details" },
    { "version", 0, FLAG(version), .help = "print the version" },
    { "help", 'h', FLAG(help), .help = "print this help" },
    { 0 },
};

const struct option *command_option(const struct command *command, int i)
{
    for (int t = 0; t <= OPTION_TABLES; t++) {
        const struct option *table = t < OPTION_TABLES ? command->options[t] : common_options;
        for (; table && table->name; table++)
            if (!i--)
                return table;
    }
    return NULL;
}
