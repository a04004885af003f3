"""The emoji short codes that an incident channel uses, as characters.

A code that is not here stays as it was typed, which is what Slack does with a code it does not know.
"""

EMOJI = {
    "+1": "👍", "-1": "👎", "adhesive_bandage": "🩹", "alarm_clock": "⏰", "arrow_right": "➡️",
    "arrows_counterclockwise": "🔄", "ballot_box_with_check": "☑️", "bar_chart": "📊", "bell": "🔔",
    "bulb": "💡", "bust_in_silhouette": "👤", "chart_with_downwards_trend": "📉",
    "chart_with_upwards_trend": "📈", "clock1": "🕐", "construction": "🚧", "dart": "🎯", "eyes": "👀",
    "fire": "🔥", "fire_engine": "🚒", "gear": "⚙️", "ghost": "👻", "green_heart": "💚",
    "grey_question": "❔", "hammer_and_wrench": "🛠️", "heart": "❤️", "heavy_check_mark": "✔️",
    "hourglass": "⌛", "hourglass_flowing_sand": "⏳", "information_source": "ℹ️",  # noqa: RUF001  # the emoji itself
    "large_blue_circle": "🔵", "large_green_circle": "🟢", "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡", "link": "🔗", "lock": "🔒", "mag": "🔍", "mega": "📣", "memo": "📝",
    "no_entry": "⛔", "no_entry_sign": "🚫", "ok": "🆗", "package": "📦", "page_facing_up": "📄",
    "paperclip": "📎", "pray": "🙏", "question": "❓", "raised_hands": "🙌", "red_circle": "🔴",
    "repeat": "🔁", "robot_face": "🤖", "rocket": "🚀", "rotating_light": "🚨", "shield": "🛡️",
    "sos": "🆘", "sparkles": "✨", "speech_balloon": "💬", "stethoscope": "🩺", "stop_sign": "🛑",
    "stopwatch": "⏱️", "tada": "🎉", "thinking_face": "🤔", "thumbsdown": "👎", "thumbsup": "👍",
    "traffic_light": "🚦", "unlock": "🔓", "warning": "⚠️", "wave": "👋", "white_check_mark": "✅",
    "white_circle": "⚪", "wrench": "🔧", "x": "❌", "zap": "⚡",
}  # fmt: skip
