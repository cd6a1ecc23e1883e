"""The Japanese words of notifications."""

from datetime import datetime

PREFIX = "[dlq-manager] "
ERROR, EXAMPLE, FIRST, LAST, GROUP = "エラー", "対象の例", "最初の発生", "最後の発生", "グループ"
NO_ERROR = "原因不明"
KINDS = {
    "USER_ERROR": "ファイルまたはメッセージの不備",
    "SYSTEM_ERROR": "システムの不具合",
    "UNKNOWN": "要確認",
    "RECOVERABLE": "一時的な障害",
    "retries": "自動再試行の上限に到達",
}
_UNITS = ((86_400, "日"), (3_600, "時間"), (60, "分"), (1, "秒"))


def fact(name: str, value: str) -> str:
    """One line of facts."""
    return f"{name}: {value}"


def time(at: datetime, zone: str) -> str:
    """A time with its zone."""
    return f"{at.year}年{at.month}月{at.day}日 {at:%H:%M} ({zone})"


def duration(seconds: int) -> str:
    """A duration in its two largest units."""
    parts = []
    for size, name in _UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number:,}{name}")
    return "".join(parts[:2]) or "0秒"


def user_error(count: int, error: str) -> tuple[str, str]:
    """Subject and opening."""
    return (
        f"{count:,}件のメッセージを処理できません: {error}",
        (
            f"ファイルまたはメッセージの内容に問題があるため、{count:,}件の処理に失敗しました。再試行しても結果は変わりません。"
            "ファイルを修正していただくか、不要な場合は運用担当者にお知らせください。"
        ),
    )


def system_error(count: int, error: str) -> tuple[str, str]:
    """Subject and opening."""
    return (
        f"システムエラー: {count:,}件のメッセージが失敗しました ({error})",
        (
            f"システムの不具合により、{count:,}件の処理に失敗しました。この種の失敗は自動では再試行されません。"
            "原因を取り除いてから、このグループのメッセージを再送してください。"
        ),
    )


def not_retried(count: int, error: str) -> tuple[str, str]:
    """Subject and opening."""
    return (
        f"自動再試行の対象外: {count:,}件のメッセージが失敗しました ({error})",
        (
            f"一時的な原因により{count:,}件の処理に失敗しましたが、自動では再試行されないため、対応待ちになっています。"
            "原因が解消してから、このグループのメッセージを再送してください。"
        ),
    )


def retries_used_up(count: int, error: str) -> tuple[str, str]:
    """Subject and opening."""
    return (
        f"自動再試行の上限に達しました: {count:,}件 ({error})",
        f"予定された再試行がすべて失敗したため、{count:,}件のメッセージが対応待ちになっています。",
    )


def more_later(every: str) -> str:
    """The closing."""
    return f"同じ失敗がさらに発生した場合は、{every}以上の間隔を空けて、まとめてお知らせします。"


def digest(count: int, groups: int, first: str, last: str) -> tuple[str, str]:
    """Subject and opening."""
    return (
        f"まとめ: {groups:,}グループで{count:,}件の失敗",
        f"{first}から{last}までに、{groups:,}グループで{count:,}件の失敗がありました。前回のお知らせ以降の件数です。",
    )


def entry(count: int, total: int, error: str, kind: str) -> str:
    """The first line of a group in a digest."""
    in_all = f"、累計{total:,}件" if total > count else ""
    return f"{error} ({kind}): {count:,}件{in_all}"


def others(groups: int, count: int) -> str:
    """The last line of a digest that is too long."""
    return f"ほかに{groups:,}グループ、{count:,}件あります。"


def test(link: str) -> tuple[str, str]:
    """Subject and text."""
    return "テスト", f"これはテストです。{link} のdlq-managerからのお知らせは、こちらに届きます。"
