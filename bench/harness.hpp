// bench/harness.hpp - what the benches share: the clock, the statistics, the table, the options.
//
// How a comparison is made: the contestants take turns, one round each, and swap who goes first; what
// counts is the CPU time of this thread (a busy machine lengthens the wall clock, not that); every
// round of one is divided by the round of the other beside it, and the median of these ratios is
// printed with its quartiles. Where 1.00 lies between the quartiles they are the same, and we say so.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>

namespace bench {

[[noreturn]] inline void die(const std::string& sentence) {
    std::fprintf(stderr, "%s\n", sentence.c_str());
    std::exit(2);
}

/// The body of a main(): what the library throws is a sentence already.
template <class Work>
int explaining(Work&& work) {
    try {
        return work();
    } catch (const std::exception& trouble) {
        die(trouble.what());
    }
}

// --- time ----------------------------------------------------------------------------------------

/// The CPU time of the calling thread, user and system, in seconds.
inline double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// The CPU seconds that `work` takes.
template <class Work>
double cpu_of(Work&& work) {
    const double start = cpu_seconds();
    work();
    return cpu_seconds() - start;
}

// --- statistics ----------------------------------------------------------------------------------

/// The value below which that part of the samples lies; 0.5 is the median.
inline double quantile(std::vector<double> samples, double part) {
    std::sort(samples.begin(), samples.end());
    const double at = part * static_cast<double>(samples.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const auto above = std::min(below + 1, samples.size() - 1);
    return samples[below] + (samples[above] - samples[below]) * (at - static_cast<double>(below));
}

inline double median(const std::vector<double>& samples) {
    return quantile(samples, 0.5);
}

/// How the second of two contestants did beside the first; below 1 it was the cheaper.
struct comparison {
    std::vector<double> first;   ///< seconds, one a round
    std::vector<double> second;  ///< seconds, of the round beside it

    std::vector<double> ratios() const {
        std::vector<double> made;
        made.reserve(first.size());
        for (std::size_t i = 0; i < first.size(); ++i) made.push_back(second[i] / first[i]);
        return made;
    }
};

/// Interleaves the rounds. Each contestant makes itself ready, works, and returns its CPU seconds.
template <class First, class Second>
comparison compare(long rounds, First&& first, Second&& second) {
    first(), second();  // the first time pays for page faults and cold caches
    comparison made;
    for (long round = 0; round < rounds; ++round) {
        if (round % 2 == 0) made.first.push_back(first());
        made.second.push_back(second());
        if (round % 2 != 0) made.first.push_back(first());
    }
    return made;
}

// --- the table -----------------------------------------------------------------------------------

/// One line: what, the figure, how it spreads, and what it should be.
inline void print_row(const std::string& what, const std::string& figure, const std::string& spread,
                      const std::string& budget = "") {
    std::printf("%-62s %10s  %-22s %s\n", what.c_str(), figure.c_str(), spread.c_str(), budget.c_str());
    std::fflush(stdout);
}

inline std::string text(const char* format, double value) {
    char made[64];
    std::snprintf(made, sizeof made, format, value);
    return made;
}

/// "ring ... bag : raw   1.01   0.98 .. 1.03, same   <= 1.03 ok"; 0 stands for no budget.
inline void print_ratio(const std::string& what, const comparison& of, double budget = 0) {
    const std::vector<double> ratios = of.ratios();
    const double low = quantile(ratios, 0.25);
    const double middle = median(ratios);
    const double high = quantile(ratios, 0.75);
    const bool same = low <= 1 && 1 <= high;
    std::string verdict;
    if (budget > 0)
        verdict = text("<= %.2f", budget) +
                  (middle <= budget ? " ok" : (same ? " within the spread" : " OVER"));
    const char* format = middle < 100 ? "%.2f" : "%.0f";
    print_row(what, text(format, middle),
              text(format, low) + " .. " + text(format, high) + (same ? ", same" : ""), verdict);
}

// --- limits --------------------------------------------------------------------------------------

/// Makes room for that many descriptors; says what is allowed if it is less.
inline void allow_descriptors(long wanted) {
    const auto needed = static_cast<rlim_t>(wanted + 32);  // the standard three, epoll sets, wakers
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= needed) return;
    limit.rlim_cur = std::min(limit.rlim_max, needed);
    if (limit.rlim_max < needed || ::setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die("This needs " + std::to_string(needed) + " descriptors, and a process may have " +
            std::to_string(limit.rlim_max) + " here: ask for fewer, or raise `ulimit -Hn`.");
}

// --- options -------------------------------------------------------------------------------------

/// `--name value` and `--flag`. Ask for each option once, then call finish().
class options {
  public:
    options(int count, char** values, std::string about) : about_{std::move(about)} {
        given_.assign(values + 1, values + count);
    }

    std::string text(std::string_view name, std::string preset, std::string_view meaning) {
        describe(std::string{name} + " " + (preset.empty() ? "..." : preset), meaning);
        for (std::size_t i = 0; i < given_.size(); ++i) {
            if (given_[i] != name) continue;
            if (i + 1 == given_.size()) die(given_[i] + " wants a value; --help lists the options.");
            preset = given_[i + 1];
            given_.erase(given_.begin() + static_cast<std::ptrdiff_t>(i),
                         given_.begin() + static_cast<std::ptrdiff_t>(i + 2));
            break;
        }
        return preset;
    }
    long number(std::string_view name, long preset, std::string_view meaning) {
        const std::string value = text(name, std::to_string(preset), meaning);
        char* end = nullptr;
        const long read = std::strtol(value.c_str(), &end, 10);
        if (value.empty() || *end != '\0' || read < 1)
            die(std::string{name} + " wants a number above 0, not \"" + value + "\".");
        return read;
    }
    bool flag(std::string_view name, std::string_view meaning) {
        describe(std::string{name}, meaning);
        return std::erase(given_, name) > 0;
    }

    /// Answers --help; refuses what nobody asked for.
    void finish() {
        if (std::erase(given_, "--help") + std::erase(given_, "-h") > 0) {
            std::printf("%s\n\n%s", about_.c_str(), help_.c_str());
            std::exit(0);
        }
        if (!given_.empty()) die("There is no option " + given_[0] + "; --help lists them.");
    }

  private:
    void describe(std::string usage, std::string_view meaning) {
        usage.resize(std::max<std::size_t>(usage.size() + 2, 22), ' ');
        help_ += "  " + usage + std::string{meaning} + "\n";
    }

    std::string about_;
    std::string help_;
    std::vector<std::string> given_;
};

}  // namespace bench
