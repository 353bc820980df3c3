"""The music shop's database as SQLAlchemy sees it: what an application that uses contraflow has anyway.

Nothing here knows contraflow. The project file names two of these classes (``shop_models:Customer``,
``shop_models:Track``) and one plain table (``playlist_track``).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Column, ForeignKey, Numeric, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    type_annotation_map = {str: String(220), Decimal: Numeric(10, 2)}  # noqa: RUF012  (SQLAlchemy reads it from here)


class Artist(Base):
    __tablename__ = "artist"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Album(Base):
    __tablename__ = "album"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    artist_id: Mapped[int] = mapped_column(ForeignKey("artist.id"))

    artist: Mapped[Artist] = relationship()


class Genre(Base):
    __tablename__ = "genre"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class MediaType(Base):
    __tablename__ = "media_type"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Track(Base):
    __tablename__ = "track"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    album_id: Mapped[int | None] = mapped_column(ForeignKey("album.id"))
    media_type_id: Mapped[int] = mapped_column(ForeignKey("media_type.id"))
    genre_id: Mapped[int | None] = mapped_column(ForeignKey("genre.id"))
    composer: Mapped[str | None]
    milliseconds: Mapped[int]
    bytes: Mapped[int | None]
    unit_price: Mapped[Decimal]

    album: Mapped[Album | None] = relationship()
    media_type: Mapped[MediaType] = relationship()
    genre: Mapped[Genre | None] = relationship()


class Employee(Base):
    __tablename__ = "employee"

    id: Mapped[int] = mapped_column(primary_key=True)
    first_name: Mapped[str]
    last_name: Mapped[str]
    title: Mapped[str | None]
    reports_to_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"))
    birth_date: Mapped[datetime | None]
    hire_date: Mapped[datetime | None]
    address: Mapped[str | None]
    city: Mapped[str | None]
    state: Mapped[str | None]
    country: Mapped[str | None]
    postal_code: Mapped[str | None]
    phone: Mapped[str | None]
    fax: Mapped[str | None]
    email: Mapped[str | None]


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    first_name: Mapped[str]
    last_name: Mapped[str]
    company: Mapped[str | None]
    address: Mapped[str | None]
    city: Mapped[str | None]
    state: Mapped[str | None]
    country: Mapped[str | None]
    postal_code: Mapped[str | None]
    phone: Mapped[str | None]
    fax: Mapped[str | None]
    email: Mapped[str]
    support_rep_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"))

    support_rep: Mapped[Employee | None] = relationship()


class Invoice(Base):
    __tablename__ = "invoice"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    invoice_date: Mapped[datetime]
    billing_address: Mapped[str | None]
    billing_city: Mapped[str | None]
    billing_state: Mapped[str | None]
    billing_country: Mapped[str | None]
    billing_postal_code: Mapped[str | None]
    total: Mapped[Decimal]


class InvoiceLine(Base):
    __tablename__ = "invoice_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"))
    track_id: Mapped[int] = mapped_column(ForeignKey("track.id"))
    unit_price: Mapped[Decimal]
    quantity: Mapped[int]


class Playlist(Base):
    __tablename__ = "playlist"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


playlist_track = Table(
    "playlist_track",
    Base.metadata,
    Column("playlist_id", ForeignKey("playlist.id"), primary_key=True),
    Column("track_id", ForeignKey("track.id"), primary_key=True),
)
