// Draws a graph of round trip times: title, axes, grid, a bar for each message, and statistics.

#ifndef GRAPH_HPP
#define GRAPH_HPP

#include "font.hpp"

#include <SDL.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace graph {

constexpr int width = 1104, height = 560;
/// Messages shown, two pixels each: almost seven seconds at 60 messages per second.
constexpr std::size_t shown = 400;
constexpr SDL_Rect plot{104, 116, static_cast<int>(shown) * 2, 372};

constexpr SDL_Color background{13, 17, 28, 255}, field{20, 26, 41, 255}, grid{48, 60, 90, 255},
    minor_grid{28, 36, 56, 255};
constexpr SDL_Color text_colour{226, 233, 245, 255}, label_colour{134, 147, 175, 255};
constexpr SDL_Color bar{45, 212, 178, 48}, bar_top{64, 232, 196, 255};
constexpr SDL_Color median_colour{110, 170, 255, 255}, p99_colour{250, 184, 76, 255}, alarm{255, 98, 98, 255};

struct Text {
    std::string title, subtitle, state;
};

/// The quantile of the samples: 0.5 is the median.
inline double quantile(std::vector<double> samples, double part)
{
    if (samples.empty())
        return 0;
    const auto at = static_cast<std::size_t>(part * static_cast<double>(samples.size() - 1) + 0.5);
    std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(at), samples.end());
    return samples[at];
}

/// The largest power of ten that is not above a value.
inline double decade(double value)
{
    return std::pow(10.0, std::floor(std::log10(value) + 1e-9));
}

/// The axis label of a power of ten, in microseconds or milliseconds.
inline std::string tick(double value)
{
    const bool is_milliseconds = value > 999.5;
    return std::to_string(std::lround(is_milliseconds ? value / 1000 : value)) +
           (is_milliseconds ? " ms" : " us");
}

inline std::string microseconds(double value)
{
    char text[32];
    if (value >= 10000)
        std::snprintf(text, sizeof text, "%.1f ms", value / 1000);
    else if (value >= 1000)
        std::snprintf(text, sizeof text, "%.2f ms", value / 1000);
    else
        std::snprintf(text, sizeof text, "%.0f us", value);
    return text;
}

class Graph {
public:
    explicit Graph(SDL_Renderer *renderer) : renderer_(renderer)
    {
        SDL_SetRenderDrawBlendMode(renderer, SDL_BLENDMODE_BLEND);
    }

    /// samples: round trip times in microseconds, newest last. count: messages received so far.
    /// smoothed: the latency that the library measures with pings, or negative if there is none yet.
    void draw(const std::vector<double> &samples, std::size_t count, double smoothed, const Text &text)
    {
        fill({0, 0, width, height}, background);
        font::draw(renderer_, plot.x, 24, 4, text_colour, text.title);
        font::draw(renderer_, plot.x, 68, 2, label_colour, text.subtitle);
        const int state_width = font::width(text.state, 2);
        font::draw(renderer_, width - 24 - state_width, 30, 2, text.state == "open" ? bar_top : alarm,
                   text.state);

        const double median = quantile(samples, 0.5), p99 = quantile(samples, 0.99);
        // The scale is logarithmic, so that a single outlier does not flatten the graph. It changes by decades.
        bottom_ = decade(std::max(quantile(samples, 0.01), 1.0));
        top_ = std::max(decade(p99 * 2) * 10, bottom_ * 100);
        axes();
        bars(samples);
        if (!samples.empty()) {
            dashed(p99, p99_colour);
            dashed(median, median_colour);
        }
        const int x = plot.x + plot.w + 24;
        number(x, 116, "current", samples.empty() ? -1 : samples.back(), bar_top);
        number(x, 196, "median", samples.empty() ? -1 : median, median_colour);
        number(x, 276, "p99", samples.empty() ? -1 : p99, p99_colour);
        number(x, 356, "ping", smoothed, text_colour);
        number_of(x, 436, "messages", std::to_string(count), text_colour);
    }

private:
    void fill(SDL_Rect area, SDL_Color colour)
    {
        SDL_SetRenderDrawColor(renderer_, colour.r, colour.g, colour.b, colour.a);
        SDL_RenderFillRect(renderer_, &area);
    }

    int y_of(double value) const
    {
        const double part =
            std::log10(std::clamp(value, bottom_, top_) / bottom_) / std::log10(top_ / bottom_);
        return plot.y + plot.h - static_cast<int>(part * plot.h);
    }

    void axes()
    {
        fill(plot, field);
        for (double power = bottom_; power <= top_ * 1.001; power *= 10) {
            for (int digit = 1; digit < 10 && power * digit <= top_ * 1.001; digit++)
                fill({plot.x, y_of(power * digit), plot.w, 1}, digit == 1 ? grid : minor_grid);
            const std::string label = tick(power);
            font::draw(renderer_, plot.x - 12 - font::width(label, 2), y_of(power) - 6, 2, label_colour,
                       label);
        }
        for (int seconds = 0; seconds * 120 <= plot.w; seconds++) {
            const int x = plot.x + plot.w - seconds * 120;
            fill({x, plot.y, 1, plot.h}, grid);
            const std::string label = seconds == 0 ? "now" : "-" + std::to_string(seconds) + " s";
            font::draw(renderer_, x - font::width(label, 2) / 2, plot.y + plot.h + 12, 2, label_colour,
                       label);
        }
    }

    void bars(const std::vector<double> &samples)
    {
        int x = plot.x + plot.w - static_cast<int>(samples.size()) * 2;
        int before = -1;
        for (const double sample : samples) {
            const int y = y_of(sample), bottom = plot.y + plot.h;
            fill({x, y, 2, bottom - y}, bar);
            const int from = before < 0 ? y : std::min(y, before), to = before < 0 ? y : std::max(y, before);
            fill({x, from, 1, to - from + 2}, bar_top);
            fill({x, y, 2, 2}, bar_top);
            if (sample > top_)
                fill({x - 1, plot.y - 5, 4, 4}, alarm);
            before = y;
            x += 2;
        }
    }

    void dashed(double value, SDL_Color colour)
    {
        for (int x = plot.x; x < plot.x + plot.w; x += 10)
            fill({x, y_of(value) - 1, 5, 2}, colour);
    }

    void number(int x, int y, const std::string &name, double value, SDL_Color colour)
    {
        number_of(x, y, name, value < 0 ? "-" : microseconds(value), colour);
    }

    void number_of(int x, int y, const std::string &name, const std::string &value, SDL_Color colour)
    {
        fill({x, y, 3, 52}, colour);
        font::draw(renderer_, x + 14, y + 2, 2, label_colour, name);
        font::draw(renderer_, x + 14, y + 28, 2, colour, value);
    }

    SDL_Renderer *renderer_;
    double bottom_ = 1, top_ = 100;
};

} // namespace graph

#endif
