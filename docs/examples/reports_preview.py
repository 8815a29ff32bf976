from datetime import UTC, datetime

from reports import month_end

print(month_end.describe())
for moment in month_end.preview(5, after=datetime(2026, 1, 1, tzinfo=UTC)):
    print(f"{moment:%a %d %b %Y %H:%M %Z}")
